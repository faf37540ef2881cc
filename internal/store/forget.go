package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/pki"
)

// ForgetNode removes the keys, certificates and SSH entries of a node that is gone. That of
// a node which was never there is no error.
func (s Store) ForgetNode(name string) error {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") { // it becomes a path
		return fmt.Errorf("forget node %q: not a name for a node", name)
	}
	// The entries go first: what is left after an interruption is keys without use.
	if err := errors.Join(
		s.rewrite(knownHostsFile, "\n", name+" "),
		s.rewrite(sshConfigFile, "\n\n", "Host "+name+"\n"),
	); err != nil {
		return fmt.Errorf("forget node %s: %w", name, err)
	}
	pairs := slices.Concat(pki.OfMember(name), pki.OfKubelet(name))
	if err := errors.Join(s.ForgetPairs(pairs...), s.remove(hostKeyFile(name))); err != nil {
		return fmt.Errorf("forget node %s: %w", name, err)
	}
	return nil
}

// ForgetPairs removes keys and certificates, by the names of pki's catalogue, of what a node had which stays.
func (s Store) ForgetPairs(rows ...string) error {
	var errs []error
	for _, row := range rows {
		cert, key := pairFiles(row)
		errs = append(errs, s.remove("pki/"+cert), s.remove("pki/"+key))
	}
	return errors.Join(errs...)
}

// rewrite drops from a file the parts, between separators, that begin with a text.
func (s Store) rewrite(name, separator, begin string) error {
	data, err := s.load(name)
	if err != nil || data == nil {
		return err
	}
	var kept []string
	parts := strings.Split(string(data), separator)
	for _, part := range parts {
		if !strings.HasPrefix(part, begin) {
			kept = append(kept, part)
		}
	}
	if len(kept) == len(parts) {
		return nil
	}
	return s.save(name, []byte(strings.Join(kept, separator)), 0o600)
}

func (s Store) remove(name string) error {
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
