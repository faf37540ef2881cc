package apply

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// waitState waits until a process is stopped, or goes on.
func waitState(t *testing.T, pid int, stopped bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, _ := strings.Cut(string(stat), ") "); (rest[0] == 'T') == stopped {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("stopped: %t", !stopped)
		}
	}
}

// An API server that is held goes on when the input ends, when the time is over, and when the script is killed.
func TestHoldScript(t *testing.T) {
	const short, long = "0.3", "60"
	tests := map[string]struct {
		longest string
		end     func(script *exec.Cmd, input io.Closer) error
	}{
		"the input ends":       {long, func(_ *exec.Cmd, input io.Closer) error { return input.Close() }},
		"it is told to end":    {long, func(script *exec.Cmd, _ io.Closer) error { return script.Process.Signal(os.Interrupt) }},
		"the time is over":     {short, func(*exec.Cmd, io.Closer) error { return nil }},
		"the script is killed": {short, func(script *exec.Cmd, _ io.Closer) error { return script.Process.Kill() }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := exec.Command("sleep", "300")
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
			bin := t.TempDir()
			systemctl := fmt.Sprintf("#!/bin/sh\n[ \"$*\" = 'show --property=MainPID --value kube-apiserver.service' ] && echo %d\n", server.Process.Pid)
			if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(systemctl), 0o755); err != nil {
				t.Fatal(err)
			}
			script := exec.Command("sh", "-c", holdScript, "sh", apiServerUnit, tt.longest)
			script.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
			input, err := script.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			output, err := script.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := script.Start(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(output).ReadString('\n')
			if line != "held\n" {
				t.Errorf("said %q", line)
			}
			if tt.longest == long {
				waitState(t, server.Process.Pid, true)
			}
			if err := tt.end(script, input); err != nil {
				t.Fatal(err)
			}
			waitState(t, server.Process.Pid, false)
			_ = input.Close()
			_ = script.Wait()
		})
	}
}

// Where no API server runs there is nothing to hold.
func TestHoldScriptWithoutAServer(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte("#!/bin/sh\necho 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := exec.Command("sh", "-c", holdScript, "sh", apiServerUnit, "60")
	script.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
	if out, err := script.CombinedOutput(); err != nil || string(out) != "held\n" {
		t.Errorf("%q, %v", out, err)
	}
}
