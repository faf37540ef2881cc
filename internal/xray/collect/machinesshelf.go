package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// A want is a file to look at, or a pattern of files.
type want struct {
	how     kind
	pattern string
}

// A remote shelf has what came so far of the files of a machine. What is asked for
// beyond becomes a want, and comes with the next answer.
type remote struct {
	files  map[string]evidence.File
	texts  map[want]string // by what was looked at of a file
	denied map[string]bool
	asked  map[want]bool
	wants  []want
}

func newRemote() *remote {
	return &remote{files: map[string]evidence.File{}, texts: map[want]string{}, denied: map[string]bool{}, asked: map[want]bool{}}
}

// ask marks wants as asked for, and returns them.
func (r *remote) ask(wants []want) []want {
	for _, w := range wants {
		r.asked[w] = true
	}
	return wants
}

// next are the wants that came up since the last time.
func (r *remote) next() []want {
	out := r.wants
	r.wants = nil
	return out
}

func (r *remote) want(pattern string, how kind) {
	if w := (want{how, pattern}); !slices.Contains(r.wants, w) {
		r.wants = append(r.wants, w)
	}
}

// covered reports whether a file would be there by now.
func (r *remote) covered(name string, how kind) bool {
	for w := range r.asked {
		if matched, err := path.Match(w.pattern, name); w.how == how && (w.pattern == name || err == nil && matched) {
			return true
		}
	}
	return false
}

func (r *remote) read(name string, how kind) (string, error) {
	text, ok := r.texts[want{how, name}]
	switch f := r.files[name]; {
	case ok && f.Size > maxFile:
		return "", fmt.Errorf("larger than %d MiB", maxFile>>20)
	case ok:
		return text, nil
	case r.denied[name]:
		return "", errors.New("permission denied")
	case r.covered(name, how) && f.Path != "" && f.Size == 0:
		return "", nil // no line of it was printed
	case r.covered(name, how):
		return "", fs.ErrNotExist
	}
	r.want(name, how)
	return "", errPending
}

func (r *remote) stat(name string, how kind) (evidence.File, error) {
	f, ok := r.files[name]
	if !r.covered(name, how) && (!ok || how == asDigest) {
		r.want(name, how)
		return f, errPending
	}
	if !ok {
		return f, fs.ErrNotExist
	}
	return f, nil
}

func (r *remote) glob(pattern string, how kind) []string {
	if !r.asked[want{how, pattern}] {
		r.want(pattern, how)
	}
	return r.have(pattern, how)
}

// have are the files that match, of those that came so far.
func (r *remote) have(pattern string, how kind) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		_, isText := r.texts[want{how, name}]
		matched, err := path.Match(pattern, name)
		if err == nil && matched && (isText || how == asStat || r.denied[name]) {
			out = append(out, name)
		}
	}
	return out
}

// take puts a section of an answer on the shelf.
func (r *remote) take(s section) {
	switch s.title {
	case "stat":
		for _, f := range parse.FileStats(s.body) {
			f.Digest = r.files[f.Path].Digest
			r.files[f.Path] = f.File
		}
	case "digest":
		for name, sum := range parse.Digests(s.body) {
			f := r.files["/"+name]
			f.Path, f.Digest = "/"+name, sum
			r.files["/"+name] = f
		}
	case "denied":
		r.denied[s.arg] = true
	case string(asText), string(asBalancer), string(asPEM), string(asKey):
		r.texts[want{kind(s.title), s.arg}] = strings.TrimSuffix(s.body, "\n") + "\n"
	}
}
