package store

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
)

const (
	operationFile = "operation"
	bootIDFile    = "/proc/sys/kernel/random/boot_id" // of the kernel that runs
)

// An Operation is a process that changes the cluster, as it wrote itself down before it
// took the lock on the machines.
type Operation struct {
	Token string `json:"token"` // of its lock
	PID   int    `json:"pid"`
	Boot  string `json:"boot"` // of its kernel
}

// Ended reports whether the process is known to be gone. Of one on another host, or before
// this one was booted, nobody here knows: stores can be copied.
func (o Operation) Ended() (bool, error) {
	boot, err := bootID()
	return err == nil && o.PID > 0 && o.Boot == boot && o.PID != os.Getpid() && unix.Kill(o.PID, 0) == unix.ESRCH, err
}

// LastOperation is the one that was begun last; it is empty where there was none.
func (s Store) LastOperation() (last Operation, err error) {
	err = durable.ReadJSON(s.path(operationFile), &last)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return last, err
}

// BeginOperation writes down that this process is about to take a lock. The lock of
// the store must be held.
func (s Store) BeginOperation(token string) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	return durable.WriteJSON(s.path(operationFile), Operation{Token: token, PID: os.Getpid(), Boot: boot}, 0o600)
}

func bootID() (string, error) {
	data, err := os.ReadFile(bootIDFile)
	return strings.TrimSpace(string(data)), err
}
