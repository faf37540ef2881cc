package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/machine"
)

// A conversation is with one shell on a machine: one session for all that is asked.
type conversation struct {
	input *os.File
	more  chan struct{} // something was said
	ended chan struct{}
	err   error // of the command, once it has ended

	mu   sync.Mutex
	said strings.Builder
	read int       // how much of it was an answer already
	came time.Time // when the answer began; zero before
}

// maxSaid is how much a machine may say: more is not of the script that looks.
const maxSaid = 64 << 20

// converse starts a shell on the machine, for as long as the context goes on. Its
// end must be called.
func converse(ctx context.Context, m machine.Machine) *conversation {
	c := &conversation{more: make(chan struct{}, 1), ended: make(chan struct{})}
	// Not io.Pipe: package exec would wait for its end after ssh has ended.
	reader, writer, err := os.Pipe()
	if c.input = writer; err != nil {
		c.err = err
		close(c.ended)
		return c
	}
	go func() {
		defer close(c.ended)
		_, c.err = m.Run(ctx, machine.Command{Argv: []string{"sh", "-s"}, Stdin: reader, Stdout: c})
		_ = reader.Close() // what is not read yet, nobody will read
	}()
	return c
}

// Write takes what the shell says.
func (c *conversation) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said.Len()+len(p) > maxSaid {
		return 0, fmt.Errorf("its answer is longer than %d MiB", maxSaid>>20)
	}
	if c.came.IsZero() {
		c.came = time.Now()
	}
	n, err := c.said.Write(p)
	select {
	case c.more <- struct{}{}:
	default:
	}
	return n, err
}

// ask returns what the shell says to the text, all until last, and when that began.
// Where the shell ends before, it returns what was said, and an error.
func (c *conversation) ask(text, last string) (string, time.Time, error) {
	c.mu.Lock()
	c.came = time.Time{}
	c.mu.Unlock()
	go func() { _, _ = io.WriteString(c.input, text) }() // an error is one of the command
	for ended := false; ; {
		answer, came, whole := c.answer(last)
		switch {
		case whole:
			return answer, came, nil
		case ended && c.err == nil:
			return answer, came, errors.New("its answer was cut off")
		case ended:
			return answer, came, c.err
		}
		select {
		case <-c.more:
		case <-c.ended:
			ended = true
		}
	}
}

func (c *conversation) answer(last string) (text string, came time.Time, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text = c.said.String()[c.read:]
	if i := strings.Index(text, last); i >= 0 {
		c.read += i + len(last)
		return text[:i], c.came, true
	}
	return text, c.came, false
}

// end has the shell end, and waits for it.
func (c *conversation) end() {
	_ = c.input.Close()
	<-c.ended
}
