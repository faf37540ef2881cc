package floor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A unit is what there is to know of one that render has written.
type unit struct {
	argv []string
	nice int // the priority: etcd's is above that of the API servers
}

// parseUnit reads a unit with one ExecStart, whose words need no quotes.
func parseUnit(text string) (unit, error) {
	var u unit
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ExecStart":
			if strings.ContainsAny(value, `"\`) {
				return u, fmt.Errorf("a word with quotes in %q", value)
			}
			u.argv = strings.Fields(strings.NewReplacer("%%", "%", "$$", "$").Replace(value))
		case "Nice":
			var err error
			if u.nice, err = strconv.Atoi(value); err != nil {
				return u, err
			}
		}
	}
	if len(u.argv) == 0 {
		return u, errors.New("no ExecStart")
	}
	return u, nil
}
