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

const (
	exitMisused   = 2
	exitCancelled = 130
)

type options struct {
	caption, lyrics, output        string
	duration, cancelAfter, timeout float64
	seed                           int64
	reach                          reach
	given                          map[string]bool // by name
}

func main() {
	o := options{given: map[string]bool{}}
	flag.StringVar(&o.caption, "caption", "", "what the music is like")
	flag.StringVar(&o.lyrics, "lyrics", "", "lyrics with [Verse]-like tags")
	flag.Float64Var(&o.duration, "duration", 0, "length in seconds; if absent, the plan decides")
	flag.Int64Var(&o.seed, "seed", 0, "seed; if absent, one is drawn")
	flag.StringVar(&o.output, "output", "song.flac", "file to write")
	flag.Float64Var(&o.cancelAfter, "cancel-after", 0, "cancel so many seconds after it was accepted")
	flag.Float64Var(&o.timeout, "timeout", 0, "deadline in seconds")
	o.reach.flags()
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "no such option: %s\n", flag.Arg(0))
		flag.Usage()
		os.Exit(exitMisused)
	}
	flag.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	os.Exit(run(o))
}

func run(o options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	call := o.reach.withToken(ctx)
	if o.given["timeout"] {
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
	written := false
	printProgress := newProgressPrinter()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) && !written {
			return errors.New("no song came")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if response.GetAccepted() != nil && o.given["cancel-after"] {
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
		written = true
		fmt.Printf("%s: %g s, seed %d\n", o.output, song.ActualDurationSeconds, song.GetSeeds().GetDitSeed())
	}
}

// request names itself: by its id the server knows a request that is sent again.
func request(o options) *gatewayv1.GenerateMusicRequest {
	request := &gatewayv1.GenerateMusicRequest{RequestId: newID(), Caption: o.caption, Lyrics: o.lyrics}
	if o.given["duration"] {
		request.DurationSeconds = &o.duration
	}
	if o.given["seed"] {
		request.Batch = &gatewayv1.BatchParams{Seeds: []int64{o.seed}}
	}
	return request
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second))
}
