package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

// retries: gRPC tries again only calls to which nothing was answered yet.
const retries = `{"methodConfig": [{
	"name": [{"service": "acestep.gateway.v1.MusicService"}],
	"retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s",
		"backoffMultiplier": 3, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

const maxMessageBytes = 16 << 20

// reach says where the gateway is, and how it is reached.
type reach struct {
	address, ca, certificate, key string
	tls                           bool
}

func (r *reach) flags() {
	address := os.Getenv("ACESTEP_ADDRESS")
	if address == "" {
		address = "localhost:50050"
	}
	flag.StringVar(&r.address, "address", address, "the gateway, as host:port")
	flag.BoolVar(&r.tls, "tls", false, "reach the gateway over TLS")
	flag.StringVar(&r.ca, "tls-ca", "", "PEM file of whom to trust; implies --tls")
	flag.StringVar(&r.certificate, "tls-certificate", "", "PEM file of our own")
	flag.StringVar(&r.key, "tls-key", "", "PEM file of its key")
}

// dial connects at the first call.
func (r *reach) dial() (*grpc.ClientConn, error) {
	transport := grpc.WithInsecure()
	if r.tls || r.ca != "" || r.certificate != "" || r.key != "" {
		config, err := r.config()
		if err != nil {
			return nil, err
		}
		transport = grpc.WithTransportCredentials(credentials.NewTLS(config))
	}
	return grpc.Dial(r.address, transport,
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}))
}

func (r *reach) config() (*tls.Config, error) {
	config := &tls.Config{}
	if r.ca != "" {
		pem, err := os.ReadFile(r.ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", r.ca)
		}
	}
	if (r.certificate == "") != (r.key == "") {
		return nil, errors.New("a certificate and its key must be given together")
	}
	if r.certificate != "" {
		pair, err := tls.LoadX509KeyPair(r.certificate, r.key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (r *reach) withToken(ctx context.Context) context.Context {
	if token := os.Getenv("ACESTEP_TOKEN"); token != "" {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return ctx
}
