package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Between two turns an upgrade goes on when it is told so, and is held by any other answer.
func TestBetweenTwoTurns(t *testing.T) {
	for answer, goesOn := range map[string]bool{"y\n": true, "Yes \n": true, "n\n": false, "\n": false, "": false} {
		dir := t.TempDir()
		in, err := os.CreateTemp(dir, "in")
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(in.Name(), []byte(answer), 0o600); err != nil {
			t.Fatal(err)
		}
		err = (&app{Streams: Streams{In: in, Err: out}}).between(&upgradeFlags{confirmEach: true})(t.Context(), "cp-2")
		if goesOn != (err == nil) || !goesOn && !errors.Is(err, errHeld) {
			t.Errorf("%q: %v", answer, err)
		}
		asked, err := os.ReadFile(out.Name())
		if err != nil || !strings.Contains(string(asked), "cp-2 is done and the cluster is whole; go on? [y/N]") {
			t.Errorf("%q: asked %q, %v", answer, asked, err)
		}
	}
}

// A pause ends with the run.
func TestPauseBetweenTwoTurns(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	between := (&app{}).between(&upgradeFlags{pause: time.Hour})
	if err := between(ctx, "cp-2"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := (&app{}).between(&upgradeFlags{pause: time.Nanosecond})(t.Context(), "cp-2"); err != nil {
		t.Error(err)
	}
}
