package component

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// A patience is how long one program may take, and how long its server may be silent.
type patience struct{ whole, silence time.Duration }

// fetchLimit ends a program without end. Those of Kubernetes have a hundred megabytes.
const fetchLimit = 1 << 30

// fetch downloads the program to path and fails unless it has its sum.
func (c choice) fetch(ctx context.Context, path string) error {
	return c.fetchWithin(ctx, path, patience{whole: 30 * time.Minute, silence: 30 * time.Second})
}

func (c choice) fetchWithin(ctx context.Context, path string, p patience) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.whole, fmt.Errorf("it takes longer than %s", p.whole))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watch := time.AfterFunc(p.silence, func() { stop(fmt.Errorf("nothing came for %s", p.silence)) })
	defer watch.Stop()
	got, err := download(ctx, c.url, path, func() { watch.Reset(p.silence) })
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("GET %s: %w", c.where(), cause)
	}
	if err != nil {
		return err
	}
	if got != c.sum {
		return fmt.Errorf("%s has SHA-256 %s, want %s", c.where(), got, c.sum)
	}
	return nil
}

// download writes what the URL has to path and returns its SHA-256. It calls
// alive whenever something comes.
func download(ctx context.Context, from *url.URL, path string, alive func()) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err // names method and URL
	}
	defer response.Body.Close() //nolint:errcheck // read only
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: %s", from.Redacted(), response.Status)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(response.Body, fetchLimit), sum)
	_, err = io.Copy(io.MultiWriter(out, callWriter(alive)), body)
	if err := errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		return "", fmt.Errorf("GET %s: %w", from.Redacted(), err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// A callWriter is called whenever something is written.
type callWriter func()

func (w callWriter) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}
