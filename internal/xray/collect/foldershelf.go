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

var errLeadsOut = errors.New("leads out of the folder, or to nothing in it, and was not followed")

// within is the name of a file in the folder.
func (c *copies) within(name string) (string, error) {
	rest, ok := strings.CutPrefix(path.Clean(name), c.prefix)
	if !ok || rest == "" {
		return "", fs.ErrNotExist
	}
	return c.rebased(rest)
}

// rebased follows a link whose target is absolute to where that lies in the folder:
// it meant the machine's root. Links that lead out are not followed by os.Root.
func (c *copies) rebased(name string) (string, error) {
	target, err := c.root.Readlink(name)
	if err != nil || !path.IsAbs(target) {
		return name, nil
	}
	rest, ok := strings.CutPrefix(path.Clean(target), c.prefix)
	if !ok {
		return "", errLeadsOut
	}
	return rest, nil
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

func (c *copies) hasFolderOf(name string) bool {
	_, err := c.root.Stat(path.Dir(name))
	return err == nil
}

func (c *copies) isLink(name string) bool {
	info, err := c.root.Lstat(name)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// read never opens what is named like a key.
func (c *copies) read(name string, how kind) (string, error) {
	if strings.HasSuffix(name, ".key") || how == asStat {
		return "", errors.New("a key, which is not opened")
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

func (c *copies) glob(pattern string, _ kind) []string {
	rest, ok := strings.CutPrefix(pattern, c.prefix)
	if !ok {
		return nil
	}
	found, err := fs.Glob(c.root.FS(), rest)
	if err != nil { // not a pattern
		return nil
	}
	var out []string
	for _, name := range found {
		out = append(out, c.prefix+name)
	}
	return out
}
