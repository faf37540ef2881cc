package collect

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Copies are a shelf: the files below a prefix on a machine lie in a folder.
type copies struct {
	root   *os.Root
	prefix string // / or /etc/kubernetes/
}

// errNotCopied is of a file whose folder is not in the copy: nothing says that the
// machine lacks it.
var errNotCopied = fmt.Errorf("not copied: %w", fs.ErrNotExist)

var errKey = errors.New("a key, which is not opened")

var errLeadsOut = errors.New("leads out of the folder, or to nothing in it, and was not followed")

// within is the name of a file in the folder. Links whose targets are absolute, in any
// part of the path, mean the machine's root; those that lead out are not followed.
func (c *copies) within(name string) (string, error) {
	rest, ok := strings.CutPrefix(path.Clean(name), c.prefix)
	switch {
	case path.Clean(name) == path.Clean(c.prefix):
		return ".", nil
	case !ok:
		return "", errNotCopied
	}
	for range maxLinks {
		at, target := c.absoluteLink(rest)
		if target == "" {
			return c.merged(rest), nil
		}
		if rest, ok = strings.CutPrefix(path.Join(target, rest[len(at):]), c.prefix); !ok {
			return "", errLeadsOut
		}
	}
	return "", errLeadsOut
}

const maxLinks = 40

// absoluteLink is the first part of a path that is a link to an absolute path.
func (c *copies) absoluteLink(name string) (at, target string) {
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '/' {
			continue
		}
		if to, err := c.root.Readlink(name[:i]); err == nil && path.IsAbs(to) {
			return name[:i], path.Clean(to)
		}
	}
	return "", ""
}

// merged is a name in /lib where a copy has that as /usr/lib alone, as systems with a
// merged /usr do.
func (c *copies) merged(name string) string {
	if _, err := c.root.Stat("lib"); err != nil && c.prefix == "/" && strings.HasPrefix(name, "lib/") {
		return "usr/" + name
	}
	return name
}

// target is where a link leads, "" where a file is none.
func (c *copies) target(name string) string {
	rest, ok := strings.CutPrefix(path.Clean(name), c.prefix)
	if !ok {
		return ""
	}
	to, err := c.root.Readlink(rest)
	if err != nil {
		return ""
	}
	return to
}

// open opens a regular file of a moderate size.
func (c *copies) open(name string) (*os.File, error) {
	in, err := c.within(name)
	if err != nil {
		return nil, err
	}
	info, err := c.root.Stat(in)
	switch {
	case err != nil && c.isLink(strings.TrimPrefix(path.Clean(name), c.prefix)):
		return nil, errLeadsOut
	case errors.Is(err, fs.ErrNotExist) && !c.hasFolderOf(in):
		return nil, errNotCopied
	case errors.Is(err, fs.ErrNotExist):
		return nil, fs.ErrNotExist
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errNotRegular
	case tooLarge(info.Size()) != nil:
		return nil, tooLarge(info.Size())
	}
	return c.root.Open(in)
}

// hasFolderOf tells whether the folder of a file was copied. Of those that have files
// of everybody, single ones are copied.
func (c *copies) hasFolderOf(name string) bool {
	of := path.Dir(name)
	_, err := c.root.Stat(of)
	return err == nil && !slices.Contains(everybodys, strings.TrimPrefix(c.prefix, "/")+of)
}

var everybodys = []string{".", "etc", "etc/default", "etc/sysconfig", "etc/ssl", "opt", "root", "srv", "usr", "usr/lib", "lib", "var", "var/lib",
	"usr/lib/systemd/system", "lib/systemd/system"}

func (c *copies) isLink(name string) bool {
	info, err := c.root.Lstat(name)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// read never opens what is named like a key.
func (c *copies) read(name string, how kind) (string, error) {
	if strings.HasSuffix(name, ".key") || how == asStat {
		return "", errKey
	}
	f, err := c.open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	switch how {
	case asPEM:
		return publicPEM(f)
	case asKey:
		return privateKeys(f)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(data), err
}

// publicPEM passes over everything but certificates and public keys: kubelets keep a
// certificate and its key in one file.
func publicPEM(in io.Reader) (string, error) {
	var out strings.Builder
	open := false
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxFile)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, "-----BEGIN ") {
			open = strings.Contains(line, "CERTIFICATE-----") || strings.Contains(line, "PUBLIC KEY-----")
		}
		if open {
			out.WriteString(line + "\n")
		}
		if strings.Contains(line, "-----END ") {
			open = false
		}
	}
	return out.String(), lines.Err()
}

// privateKeys counts them by the lines that they begin with, as the script on machines does,
// and makes nothing public of them: keys are not read here.
func privateKeys(in io.Reader) (string, error) {
	count := 0
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxFile)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "-----BEGIN ") && strings.Contains(lines.Text(), "PRIVATE KEY-----") {
			count++
		}
	}
	return fmt.Sprintf("private %d\n", count), lines.Err()
}

// stat leaves the owner out: it is the copy's.
func (c *copies) stat(name string, how kind) (evidence.File, error) {
	in, err := c.within(name)
	if err != nil {
		return evidence.File{}, err
	}
	info, err := c.root.Stat(in)
	if err != nil && !c.hasFolderOf(in) {
		return evidence.File{}, errNotCopied
	}
	if err != nil {
		return evidence.File{}, fs.ErrNotExist
	}
	out := evidence.File{Path: name, Mode: uint32(info.Mode().Perm()), Size: info.Size()}
	if how != asDigest {
		return out, nil
	}
	f, err := c.open(name)
	if err != nil {
		return out, err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(f, maxFile)); err != nil {
		return out, err
	}
	out.Digest = fmt.Sprintf("%x", sum.Sum(nil))
	return out, nil
}

// glob looks below links too, up to the first part that is a pattern.
func (c *copies) glob(pattern string, _ kind) []string {
	fixed, rest := pattern, ""
	if i := strings.IndexAny(pattern, "*?[\\"); i >= 0 {
		fixed = path.Dir(pattern[:i] + "x")
		rest = strings.TrimPrefix(pattern[len(fixed):], "/")
	}
	in, err := c.within(fixed)
	if err != nil {
		return nil
	}
	found, err := fs.Glob(c.root.FS(), path.Join(in, rest))
	if err != nil { // not a pattern
		return nil
	}
	var out []string
	for _, name := range found {
		out = append(out, path.Clean(fixed)+strings.TrimPrefix("/"+name, strings.TrimSuffix("/"+in, "/.")))
	}
	return out
}
