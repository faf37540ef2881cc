package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Parse reads a cluster file, fills in the defaults and validates the result.
// The error is a *FileError with every problem found, not only the first.
func Parse(name string, data []byte) (*Cluster, error) {
	return readCluster(name, data, Known{}, false)
}

// ParseKept is ParseFor for the file that a cluster was made from, which an earlier
// release may have read: fields that are written empty have their defaults, and what
// follows the first document is not read.
func ParseKept(name string, data []byte, known Known) (*Cluster, error) {
	return readCluster(name, data, known, true)
}

func readCluster(name string, data []byte, known Known, kept bool) (*Cluster, error) {
	c, r, errs := decode(data, kept)
	if c != nil {
		SetDefaultsFor(c, known)
		errs = append(errs, r.news(validate(c, r))...)
		errs = append(errs, r.news(checkKnown(field.NewPath("spec"), &c.Spec, known))...)
		if !kept && !known.virtual() {
			errs = append(errs, r.news(checkAlone(field.NewPath("spec", "loadBalancer", "address"), &c.Spec))...)
		}
	}
	if len(errs) > 0 {
		return nil, &FileError{Name: name, Problems: errs, lines: r.lines}
	}
	return c, nil
}

// A FileError lists everything that is wrong with a cluster file.
type FileError struct {
	Name     string
	Problems field.ErrorList

	lines map[string]int // by path
}

// Error has a line for each problem, with the path of the field and the line that it is in.
func (e *FileError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, e.Name+": "+problem(p)+e.where(p.Field))
	}
	return strings.Join(lines, "\n")
}

// longest is how much of a value a message shows.
const longest = 100

func problem(e *field.Error) string {
	if e.Field == "" || e.Field == "<nil>" {
		return e.Detail
	}
	short := *e
	short.Field = printable(e.Field)
	if v := reflect.ValueOf(e.BadValue); v.Kind() == reflect.String {
		short.BadValue = shortened(v.String(), e.BadValue)
	}
	return short.Error()
}

// printable has no line break, and nothing that a terminal obeys.
func printable(text string) string {
	quoted := strconv.Quote(text)
	if unquoted := quoted[1 : len(quoted)-1]; len(text) != len(unquoted) {
		text = strings.ReplaceAll(unquoted, `\"`, `"`)
	}
	return text
}

// shortened is the value as a message shows it: the beginning of a long one.
func shortened(text string, value any) any {
	runes := []rune(text)
	if len(runes) <= longest {
		return value
	}
	begin := string(runes[:longest])
	if _, asWritten := value.(written); asWritten {
		return written(begin + "…")
	}
	return written(strconv.Quote(begin) + "…")
}

// where is the line of a field or, where it is not written, of what it belongs to.
func (e *FileError) where(path string) string {
	for at := path; at != "" && (at != "spec" || at == path); {
		if line := e.lines[at]; line > 0 {
			return fmt.Sprintf(" (line %d)", line)
		}
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	return ""
}

// A reading is what a file has: a cluster whose defaults are set does not tell any more
// what somebody wrote. Nil is that of a cluster that came from no file.
type reading struct {
	lines map[string]int  // of the fields that are written, by path
	wrong map[string]bool // the fields whose value could not be taken
}

// wrote reports whether somebody wrote the field.
func (r *reading) wrote(at *field.Path) bool { return r == nil || r.lines[at.String()] > 0 }

// failed reports whether the field, or what it is in, could not be taken.
func (r *reading) failed(path string) bool {
	for ; r != nil && path != ""; path = path[:max(strings.LastIndexAny(path, ".["), 0)] {
		if r.wrong[path] {
			return true
		}
	}
	return false
}

// news leaves out problems of fields that have one already.
func (r *reading) news(errs field.ErrorList) field.ErrorList {
	return slices.DeleteFunc(errs, func(e *field.Error) bool { return r.failed(e.Field) })
}
