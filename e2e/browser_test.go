//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A browser is Debian's chromium, without a window, with one page.
type browser struct {
	ctx context.Context

	mu         sync.Mutex
	requests   []string // URLs
	complaints []string // of the console: errors, exceptions, what a policy forbade
	said       []string // by the page or by the test
}

// newBrowser starts a browser with a profile of its own, and ends it with the test.
// Where there is none the test is skipped; with CI set that is a failure.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("no browser: %v", err)
	}
	if err != nil {
		t.Fatalf("no browser, and CI is set: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, end := chromedp.NewExecAllocator(background(t), options...)
	t.Cleanup(end) // waits until it has ended and its profile is gone
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return b
}

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			b.said = append(b.said, string(arg.Value))
		}
	}
}

// visit opens a page in a window of a width, in light, and returns what it requested
// beside itself and what the console has to say.
func (b *browser) visit(t *testing.T, url string, width int64) (requests, complaints []string) {
	t.Helper()
	b.do(t, chromedp.Navigate("about:blank"))
	b.settle(t)
	b.mu.Lock()
	b.requests, b.complaints = nil, nil
	b.mu.Unlock()
	b.do(t, chromedp.EmulateViewport(width, 900))
	b.media(t, "", "light")
	b.do(t, chromedp.Navigate(url))
	b.settle(t)
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(b.requests, func(r string) bool { return r == url }), b.complaints
}

// settle waits until everything that happened before was heard.
func (b *browser) settle(t *testing.T) {
	t.Helper()
	mark := fmt.Sprintf("heard until %d", time.Now().UnixNano())
	evaluate[any](t, b, fmt.Sprintf("console.debug(%q)", mark))
	wait(t, 30*time.Second, "the browser's events", func(context.Context) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !slices.Contains(b.said, fmt.Sprintf("%q", mark)) {
			return errors.New("not all were heard")
		}
		return nil
	})
}

// media sets what pages are shown on, "" or print, in a colour scheme.
func (b *browser) media(t *testing.T, media, scheme string) {
	t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if err != nil {
		t.Fatalf("set media: %v", err)
	}
}

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		t.Fatalf("drive the browser: %v", err)
	}
}

// evaluate returns what an expression is in the page.
func evaluate[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("evaluate in the page: %v\n%s", err, expression)
	}
	return out
}
