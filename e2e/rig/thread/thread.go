// Package thread has threads of the operating system in namespaces of their own, for the benchmark and the tests.
package thread

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Thread is one of the operating system's that runs what it is given, in order.
// Its namespaces may be changed at will; it ends with Close, and its children with it.
type Thread struct{ calls chan func() }

// New starts one.
func New() *Thread {
	t := &Thread{calls: make(chan func())}
	go t.run()
	return t
}

func (t *Thread) run() {
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

// Do runs fn on the thread, and returns its error.
func (t *Thread) Do(fn func() error) error {
	done := make(chan error)
	t.calls <- func() { done <- fn() }
	return <-done
}

// Close ends the thread once it has nothing to do. It is called once.
func (t *Thread) Close() { close(t.calls) }
