package floor

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A thread is one of the operating system's that runs what it is given, in order.
// Its namespaces may be changed at will; it ends with close, and its children with it.
type thread struct{ calls chan func() }

func newThread() *thread {
	t := &thread{calls: make(chan func())}
	go t.run()
	return t
}

func (t *thread) run() {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	if unix.Gettid() == os.Getpid() {
		// The main thread cannot end; while it is held here, another one is used.
		defer runtime.UnlockOSThread()
		done := make(chan struct{})
		go func() { defer close(done); t.run() }()
		<-done
		return
	}
	for call := range t.calls {
		call()
	}
}

func (t *thread) do(fn func() error) error {
	done := make(chan error)
	t.calls <- func() { done <- fn() }
	return <-done
}

func (t *thread) close() { close(t.calls) }
