package nspawn

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/poll"
)

// onThread runs fn on a thread of its own that has ended when it returns: what fn
// does to the thread (namespace, cgroup) leaves nothing in this process, and what
// it forks inherits it. A thread that was still in a machine's cgroup would have
// this program killed with the machine.
func onThread(fn func() error) error {
	done, thread := make(chan error, 1), 0
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread cannot end; while it is held here, another one is used.
			defer runtime.UnlockOSThread()
			done <- onThread(fn)
			return
		}
		thread = unix.Gettid()
		done <- fn()
	}()
	err := <-done
	if thread != 0 {
		waitThread(thread)
	}
	return err
}

// waitThread waits until a thread of this process has ended, which takes a moment.
func waitThread(id int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = poll.Until(ctx, time.Millisecond, func(context.Context) error {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", id)); err == nil {
			return fmt.Errorf("thread %d has not ended", id)
		}
		return nil
	})
}
