package store

import (
	"encoding/json"
	"os"
	"strings"

	"golang.org/x/sys/unix"
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
	data, err := s.load(operationFile)
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &last)
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
	data, err := json.Marshal(Operation{Token: token, PID: os.Getpid(), Boot: boot})
	if err != nil {
		return err
	}
	return s.save(operationFile, append(data, '\n'), 0o600)
}

func bootID() (string, error) {
	data, err := os.ReadFile(bootIDFile)
	return strings.TrimSpace(string(data)), err
}
