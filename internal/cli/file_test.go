package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe that nobody writes to ends in an error, and whoever interrupts waits for nothing.
func TestPipeThatHasNoEnd(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := readLimited(t.Context(), pipe, 20*time.Millisecond, openNamed(pipe))
	if err == nil || err.Error() != pipe+" is no file, and had no end in 20ms" {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := readLimited(ctx, pipe, time.Hour, openNamed(pipe)); err != context.Canceled {
		t.Errorf("interrupted: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("#", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := readLimited(t.Context(), file, 0, openNamed(file)); len(data) != maxFile || err != nil {
		t.Errorf("the largest file: %d, %v", len(data), err)
	}
}
