package view

import (
	"fmt"
	"io"
	"runtime"

	"github.com/haplane/haplane/internal/component"
)

// Version is what haplane is, and what it builds.
type Version struct {
	Version    string             `json:"version"`
	Go         string             `json:"go"`
	Components []component.Pinned `json:"components"` // empty where their modules are not at hand
}

// Text writes haplane's version and a table of the components.
func (v Version) Text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "haplane %s (%s %s/%s)\n", v.Version, v.Go, runtime.GOOS, runtime.GOARCH)
	if err != nil || len(v.Components) == 0 {
		return err
	}
	return table(w, "\nCOMPONENT\tVERSION", func(t io.Writer) {
		for _, c := range v.Components {
			fmt.Fprintf(t, "%s\t%s\n", c.Name, c.Version)
		}
	})
}
