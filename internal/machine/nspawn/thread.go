package nspawn

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs fn on a thread of its own that ends afterwards: what fn does to
// the thread (namespace, cgroup) leaves nothing in this process, and what it
// forks inherits it.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread cannot end; while it is held here, another one is used.
			defer runtime.UnlockOSThread()
			done <- onThread(fn)
			return
		}
		done <- fn()
	}()
	return <-done
}
