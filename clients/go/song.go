package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	gatewayv1 "example.com/acestep/gen/acestep/gateway/v1"
)

// songFile puts a song's file together from the events of a generation.
type songFile struct {
	bytes []byte
}

// add returns the song when the event completes it, and an error if it failed or arrived damaged.
func (f *songFile) add(response *gatewayv1.GenerateMusicResponse) (*gatewayv1.Song, error) {
	if response.GetAudioStart() != nil {
		f.bytes = nil
	}
	if chunk := response.GetAudio(); chunk != nil {
		f.bytes = append(f.bytes, chunk.Data...)
	}
	song := response.GetSong()
	if song == nil {
		return nil, nil
	}
	if song.Error != nil {
		return nil, errors.New(song.Error.Message)
	}
	digest := sha256.Sum256(f.bytes)
	if hex.EncodeToString(digest[:]) != song.AudioSha256 {
		return nil, errors.New("the song arrived damaged")
	}
	return song, nil
}

// newProgressPrinter returns a function that prints a line whenever the phase or the percentage changes.
func newProgressPrinter() func(*gatewayv1.Progress) {
	last := ""
	return func(p *gatewayv1.Progress) {
		phase := strings.ToLower(strings.TrimPrefix(p.Phase.String(), "PHASE_"))
		head := fmt.Sprintf("%3.0f %%  %s", p.Fraction*100, phase)
		if head == last {
			return
		}
		last = head
		if p.TotalStepCount != nil {
			head += fmt.Sprintf(" %d/%d", p.StepCount, *p.TotalStepCount)
		}
		fmt.Fprintln(os.Stderr, head)
	}
}

func newID() string {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		panic(err) // the system has no randomness
	}
	return hex.EncodeToString(id)
}
