// Package child starts processes that do not outlive this one.
package child

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Start starts a command, which gets the signal when this process ends in whatever
// way. The kernel sends it when the thread ends that started the process, and
// threads of a Go program come and go (prctl(2), PR_SET_PDEATHSIG): all are
// started by one that stays.
func Start(cmd *exec.Cmd, signal syscall.Signal) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = signal
	done := make(chan error, 1)
	parent() <- func() { done <- cmd.Start() }
	return <-done
}

// parent is the thread, by what it takes work from.
var parent = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread() // for good; nothing closes the channel
		for fn := range work {
			fn()
		}
	}()
	return work
})
