package nspawn

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOnThreadEndsItsThread(t *testing.T) {
	wrong := errors.New("wrong")
	for range 50 {
		thread := 0
		if err := onThread(func() error { thread = unix.Gettid(); return wrong }); !errors.Is(err, wrong) {
			t.Fatalf("error %v", err)
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread)); err == nil || thread == os.Getpid() {
			t.Fatalf("thread %d is still there", thread)
		}
	}
}
