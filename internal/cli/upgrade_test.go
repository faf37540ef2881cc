package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is one whose user types an answer.
func terminal(t *testing.T, answer string) *os.File {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	number, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	if _, err := user.WriteString(answer); err != nil {
		t.Fatal(err)
	}
	return in
}

// Between two turns an upgrade goes on when it is told so, and is held by any other answer; without a terminal nobody is asked.
func TestBetweenTwoTurns(t *testing.T) {
	const endOfFile = "\x04"
	for answer, goesOn := range map[string]bool{"y\n": true, "Yes \n": true, "n\n": false, "\n": false, endOfFile: false} {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		err = (&app{Streams: Streams{In: terminal(t, answer), Err: out}}).confirmTurn("cp-2")
		if goesOn != (err == nil) || !goesOn && !errors.Is(err, errHeld) {
			t.Errorf("%q: %v", answer, err)
		}
		asked, err := os.ReadFile(out.Name())
		if err != nil || !strings.Contains(string(asked), "cp-2 is done and the cluster is whole; go on? [y/N]") {
			t.Errorf("%q: asked %q, %v", answer, asked, err)
		}
	}
	none, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if err := (&app{Streams: Streams{In: none, Err: none}}).confirmTurn("cp-2"); !errors.Is(err, errNobodyToAsk) {
		t.Errorf("without a terminal: %v", err)
	}
}
