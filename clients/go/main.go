// Command generate makes a song, shows how far it is, and writes its file.
// Ctrl-C cancels it at the server too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gatewayv1 "example.com/acestep/gen/acestep/gateway/v1"
)

const exitCancelled = 130

type options struct {
	caption, lyrics, output        string
	duration, cancelAfter, timeout float64
	seed                           int64
	reach                          reach
}

func main() {
	var o options
	flag.StringVar(&o.caption, "caption", "", "what the music is like")
	flag.StringVar(&o.lyrics, "lyrics", "", "lyrics with [Verse]-like tags")
	flag.Float64Var(&o.duration, "duration", 0, "length in seconds; 0 leaves it to the plan")
	flag.Int64Var(&o.seed, "seed", -1, "seed; -1 draws one")
	flag.StringVar(&o.output, "output", "song.flac", "file to write")
	flag.Float64Var(&o.cancelAfter, "cancel-after", 0, "cancel so many seconds after it was accepted")
	flag.Float64Var(&o.timeout, "timeout", 0, "deadline in seconds")
	o.reach.flags()
	flag.Parse()
	os.Exit(run(o))
}

func run(o options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	call := o.reach.withToken(ctx)
	if o.timeout > 0 {
		var cancel context.CancelFunc
		call, cancel = context.WithTimeout(call, seconds(o.timeout))
		defer cancel()
	}
	err := generate(call, stop, o)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && status.Code(err) == codes.Canceled:
		fmt.Fprintln(os.Stderr, "cancelled")
		return exitCancelled
	}
	fmt.Fprintln(os.Stderr, describe(err))
	return 1
}

func generate(ctx context.Context, stop func(), o options) error {
	channel, err := o.reach.dial()
	if err != nil {
		return err
	}
	defer channel.Close()
	stream, err := gatewayv1.NewMusicServiceClient(channel).GenerateMusic(ctx, request(o))
	if err != nil {
		return err
	}
	var file songFile
	printProgress := newProgressPrinter()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if response.GetAccepted() != nil && o.cancelAfter > 0 {
			time.AfterFunc(seconds(o.cancelAfter), stop)
		}
		if progress := response.GetProgress(); progress != nil {
			printProgress(progress)
		}
		song, err := file.add(response)
		if err != nil {
			return err
		}
		if song == nil {
			continue
		}
		if err := os.WriteFile(o.output, file.bytes, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s: %g s, seed %d\n", o.output, song.ActualDurationSeconds, song.Seeds.DitSeed)
	}
}

// request names itself: by its id the server knows a request that is sent again.
func request(o options) *gatewayv1.GenerateMusicRequest {
	request := &gatewayv1.GenerateMusicRequest{RequestId: newID(), Caption: o.caption, Lyrics: o.lyrics}
	if o.duration != 0 {
		request.DurationSeconds = &o.duration
	}
	if o.seed >= 0 {
		request.Batch = &gatewayv1.BatchParams{Seeds: []int64{o.seed}}
	}
	return request
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second))
}
