package view

import (
	"fmt"
	"io"
	"time"
)

// Late says what takes so long, if it still does after a while. The function that it
// returns ends it.
func Late(w io.Writer, after time.Duration, text string) (stop func()) {
	timer := time.AfterFunc(after, func() { fmt.Fprintln(w, text) })
	return func() { timer.Stop() }
}
