package child

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A thread ends with the goroutine that was locked to it. What was started there lives on.
func TestChildrenOutliveThreads(t *testing.T) {
	const children = 40
	cmds := make([]*exec.Cmd, children)
	ended := make(chan int, children)
	var wg sync.WaitGroup
	for i := range cmds {
		wg.Go(func() {
			runtime.LockOSThread()
			cmds[i] = exec.Command("sleep", "300")
			if err := Start(cmds[i], syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i, cmd := range cmds {
		go func() { _ = cmd.Wait(); ended <- i }()
	}
	// A thread that is ending sends the signal before it is gone from this folder.
	for deadline := time.Now().Add(10 * time.Second); threads(t) > runtime.NumCPU()+20 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	dead := 0
	for _, cmd := range cmds {
		if syscall.Kill(cmd.Process.Pid, 0) != nil || zombie(cmd.Process.Pid) {
			dead++
		}
		_ = cmd.Process.Kill()
	}
	for range cmds {
		<-ended
	}
	if dead > 0 {
		t.Errorf("%d of %d children ended with the threads that asked for them", dead, children)
	}
}

func threads(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(data), ") Z ")
}

// This test's program, run again as one that starts a child and is killed.
func TestChildrenEndWithTheProcess(t *testing.T) {
	if os.Getenv("HAPLANE_TEST_PARENT") != "" {
		cmd := exec.Command("sleep", "300")
		if err := Start(cmd, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		fmt.Println("child", cmd.Process.Pid)
		select {}
	}
	self := exec.Command(os.Args[0], "-test.run=^TestChildrenEndWithTheProcess$")
	self.Env = append(os.Environ(), "HAPLANE_TEST_PARENT=1")
	out, err := self.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "child "); ok {
			pid, _ = strconv.Atoi(text)
		}
	}
	_ = self.Process.Kill()
	_ = self.Wait()
	if pid == 0 {
		t.Fatal("no child was started")
	}
	for deadline := time.Now().Add(10 * time.Second); !zombie(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child outlived its parent")
		}
	}
}
