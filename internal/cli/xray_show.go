package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/haplane/haplane/internal/view"
	"github.com/haplane/haplane/internal/view/xrayhtml"
	"github.com/haplane/haplane/internal/xray"
)

// describe lists the checks, or explains one.
func (x *xrayRun) describe() error {
	return x.write(func(w io.Writer) error {
		if x.list {
			checks := view.NewChecks(xray.Catalogue())
			if x.output == "json" {
				return view.JSON(w, checks)
			}
			return view.Checks(w, checks)
		}
		check, _ := xray.Find(x.explain) // it was checked
		if x.output == "json" {
			return view.JSON(w, view.NewCheck(check))
		}
		return view.NewCheck(check).Text(w, x.width())
	})
}

// show writes the report where it is wanted.
func (x *xrayRun) show(r xray.Report) error {
	if err := x.write(func(w io.Writer) error { return x.format(w, r) }); err != nil {
		return err
	}
	if x.to != "" && !x.quiet {
		fmt.Fprintf(x.Out, "%s\nwrote %s\n", r.Verdict.Summary, x.to)
	}
	return nil
}

func (x *xrayRun) format(w io.Writer, r xray.Report) error {
	switch x.output {
	case "json":
		return view.JSON(w, r)
	case "junit":
		return view.XrayJUnit(w, r, xray.Status(x.failOn))
	case "sarif":
		return view.XraySARIF(w, r, view.NewChecks(xray.Catalogue()), Version)
	case "html":
		return xrayhtml.Write(w, r)
	}
	return view.XrayText{Width: x.width(), Color: x.colored(), All: x.verbose}.Write(w, r)
}

// verdict is the exit status that the report asks for.
func (x *xrayRun) verdict(r xray.Report) error {
	switch {
	case r.Failed(xray.Status(x.failOn)):
		return exitError(exitFindings)
	case r.Blind():
		return exitError(exitFailed)
	}
	return nil
}

// colored reports whether text has colours; see https://no-color.org.
func (x *xrayRun) colored() bool {
	if x.color != "auto" {
		return x.color == "always"
	}
	return x.to == "" && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(x.Out.Fd()))
}

// width is that of a narrow terminal, and otherwise what is good to read.
func (x *xrayRun) width() int {
	const widest, narrowest = 100, 40
	width, _, err := term.GetSize(int(x.Out.Fd()))
	if err != nil || x.to != "" {
		return widest
	}
	return max(min(width, widest), narrowest)
}

func (x *xrayRun) write(to func(io.Writer) error) error { return x.writeTo(x.to, to) }

// writeTo writes to standard output or, where one is named, all at once to a file.
func (a *app) writeTo(file string, to func(io.Writer) error) error {
	if file == "" {
		return to(a.Out)
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(to(f), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return os.Rename(f.Name(), file)
}

// checkTarget tells why a report cannot be written to the file that a flag names.
func checkTarget(flag, file string) error {
	if info, err := os.Stat(file); file == "" || err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %q is not a file", flag, file)
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return fmt.Errorf("%s: there is no folder %s", flag, filepath.Dir(file))
	}
	return nil
}
