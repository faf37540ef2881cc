package view

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/haplane/haplane/internal/image"
)

// shortDigest is as much of a digest as tells one image from another.
const shortDigest = 12

func table(w io.Writer, header string, rows func(t io.Writer)) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, header)
	rows(t)
	return t.Flush()
}

// Bytes is a size in decimal units, as disks are sold: 1.2 GB.
func Bytes(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value := float64(n) / 1000
	for value >= 999.95 && len(units) > 1 {
		value, units = value/1000, units[1:]
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

// Images writes a table of images.
func Images(w io.Writer, images []image.Summary) error {
	return table(w, "DIGEST\tCREATED\tSIZE\tKUBERNETES\tIN USE BY", func(t io.Writer) {
		for _, s := range images {
			fmt.Fprintf(t, "%.*s\t%s\t%s\t%s\t%s\n", shortDigest, s.Digest, s.Created.UTC().Format(time.RFC3339),
				Bytes(s.Size), cmp.Or(s.Kubernetes, "-"), list(s.InUseBy))
		}
	})
}

// Image writes everything that is in an image.
func Image(w io.Writer, d image.Details) error {
	err := table(w, "IMAGE\t"+d.Digest, func(t io.Writer) {
		fmt.Fprintf(t, "CREATED\t%s\nDISTRIBUTION\tDebian %s, %s\nSIZE\t%s\nIN USE BY\t%s\nFOLDER\t%s\n\n",
			d.Created.UTC().Format(time.RFC3339), d.Distribution, d.Architecture, Bytes(d.Size), list(d.InUseBy), d.Dir)
	})
	for _, part := range []func(io.Writer, image.Manifest) error{programs, containerImages, modules, packages} {
		if err == nil {
			err = part(w, d.Manifest)
		}
	}
	return err
}

func programs(w io.Writer, m image.Manifest) error {
	return table(w, "PROGRAM\tCOMPONENT\tVERSION\tSHA-256\tPATH", func(t io.Writer) {
		for _, p := range m.Programs {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", p.Name, p.Component, p.Version, p.SHA256, cmp.Or(p.Path, "in a container image"))
			for _, link := range p.Links {
				fmt.Fprintf(t, "  %s\t\t\t\tlink to %s\n", link, p.Name)
			}
		}
		fmt.Fprintln(t)
	})
}

func containerImages(w io.Writer, m image.Manifest) error {
	return table(w, "CONTAINER IMAGE\tID\tPATH", func(t io.Writer) {
		for _, a := range m.Images {
			fmt.Fprintf(t, "%s\t%s\t%s\n", a.Ref, a.Digest, a.Path)
		}
		fmt.Fprintln(t)
	})
}

// modules writes every Go module once, with the components that have it.
func modules(w io.Writer, m image.Manifest) error {
	users := map[image.Module][]string{}
	for _, p := range m.Programs {
		for _, module := range p.Modules {
			if !slices.Contains(users[module], p.Component) {
				users[module] = append(users[module], p.Component)
			}
		}
	}
	order := func(a, b image.Module) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Sum, b.Sum))
	}
	return table(w, "GO MODULE\tVERSION\tSUM\tIN", func(t io.Writer) {
		for _, module := range slices.SortedFunc(maps.Keys(users), order) {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", module.Path, cmp.Or(module.Version, "-"), cmp.Or(module.Sum, "-"), list(users[module]))
		}
		fmt.Fprintln(t)
	})
}

func packages(w io.Writer, m image.Manifest) error {
	return table(w, "PACKAGE\tVERSION\tSHA-256 OF ITS FILES' SUMS", func(t io.Writer) {
		for _, p := range m.Packages {
			fmt.Fprintf(t, "%s\t%s\t%s\n", p.Name, p.Version, cmp.Or(p.Sum, "-"))
		}
	})
}

func list(names []string) string { return cmp.Or(strings.Join(names, ", "), "-") }
