package view

import (
	"fmt"
	"io"
	"strings"
)

// Error writes what went wrong, once: the error, the last lines of the log that
// it is about, what to do, and where the whole story is. All but err may be empty.
func Error(w io.Writer, err error, lines []string, hint, log string) {
	text := strings.TrimRight(err.Error(), "\n")
	fmt.Fprintf(w, "error: %s\n", strings.ReplaceAll(text, "\n", "\n  "))
	for _, l := range lines {
		fmt.Fprintf(w, "  | %s\n", l)
	}
	if hint != "" {
		fmt.Fprintf(w, "hint:  %s\n", hint)
	}
	if log != "" {
		fmt.Fprintf(w, "log:   %s\n", log)
	}
}
