package example;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import java.io.File;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;

/** How a gateway is reached: TLS, a token, and what is tried again. */
final class Reach {
  private static final int MAX_MESSAGE_BYTES = 16 << 20;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** gRPC tries again only calls to which nothing was answered yet. */
  private static final Map<String, ?> RETRIES = Map.of("methodConfig",
      List.of(Map.of("name", List.of(Map.of("service", "acestep.gateway.v1.MusicService")), "retryPolicy",
          Map.of("maxAttempts", 4.0, "initialBackoff", "0.1s", "maxBackoff", "2s", "backoffMultiplier", 3.0,
              "retryableStatusCodes", List.of("UNAVAILABLE")))));

  private Reach() {}

  /** Connects at the first call. Throws {@code IllegalArgumentException} for half a pair. */
  static ManagedChannel channel(Options options) throws SSLException {
    var builder = NettyChannelBuilder
                      .forTarget(options.text("address", environment("ACESTEP_ADDRESS", "localhost:50050")))
                      .defaultServiceConfig(RETRIES)
                      .enableRetry()
                      .maxInboundMessageSize(MAX_MESSAGE_BYTES)
                      .keepAliveTime(30, TimeUnit.SECONDS)
                      .keepAliveTimeout(10, TimeUnit.SECONDS);
    if (!options.secure()) {
      return builder.usePlaintext().build();
    }
    if (options.has("tls-certificate") != options.has("tls-key")) {
      throw new IllegalArgumentException("a certificate and its key must be given together");
    }
    var tls = GrpcSslContexts.forClient();
    if (options.has("tls-ca")) {
      tls.trustManager(new File(options.text("tls-ca", "")));
    }
    if (options.has("tls-certificate")) {
      tls.keyManager(new File(options.text("tls-certificate", "")), new File(options.text("tls-key", "")));
    }
    return builder.sslContext(tls.build()).build();
  }

  /** Shows the token of the environment, if there is one, with every call. */
  static ClientInterceptor token() {
    String token = environment("ACESTEP_TOKEN", "");
    return new ClientInterceptor() {
      @Override
      public <Q, A> ClientCall<Q, A> interceptCall(
          MethodDescriptor<Q, A> method, CallOptions terms, Channel next) {
        return new SimpleForwardingClientCall<>(next.newCall(method, terms)) {
          @Override
          public void start(Listener<A> listener, Metadata headers) {
            if (!token.isEmpty()) {
              headers.put(AUTHORIZATION, "Bearer " + token);
            }
            super.start(listener, headers);
          }
        };
      }
    };
  }

  private static String environment(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }
}
