package view

import (
	"fmt"
	"io"
	"strings"
)

// Error writes what went wrong, once: the error, what to do about it, and where
// the whole story is. hint and log may be empty.
func Error(w io.Writer, err error, hint, log string) {
	text := strings.TrimRight(err.Error(), "\n")
	fmt.Fprintf(w, "error: %s\n", strings.ReplaceAll(text, "\n", "\n  "))
	if hint != "" {
		fmt.Fprintf(w, "hint:  %s\n", hint)
	}
	if log != "" {
		fmt.Fprintf(w, "log:   %s\n", log)
	}
}
