package nspawn

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/haplane/haplane/internal/durable"
)

// resolvConf is what a machine that reaches out resolves names with.
const resolvConf = "/etc/resolv.conf"

// writeFiles makes the machine itself: its name, its keys, the names it knows.
func (p *Provider) writeFiles(m Machine, all []Machine) error {
	root := p.dir(m.Name, "root")
	resolv, err := p.resolvers()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "root/.ssh"), 0o700); err != nil {
		return err
	}
	for _, f := range []struct {
		path string
		mode fs.FileMode
		data []byte
	}{
		{"etc/hostname", 0o644, []byte(m.Name + "\n")},
		{"etc/hosts", 0o644, hosts(all)},
		{"etc/resolv.conf", 0o644, resolv},
		{"etc/ssh/ssh_host_ed25519_key", 0o600, m.HostKey},
		{"root/.ssh/authorized_keys", 0o600, m.AuthorizedKey},
	} {
		if err := durable.WriteFile(filepath.Join(root, f.path), f.data, f.mode); err != nil {
			return err
		}
	}
	return writeMachineID(filepath.Join(root, "etc/machine-id"))
}

// copyPrograms gives a new machine programs of this host. Its root is not mounted yet.
func (p *Provider) copyPrograms(m Machine) error {
	for name, program := range m.Programs {
		to := filepath.Join(p.dir(m.Name, "upper"), name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := copyProgram(program, to); err != nil {
			return fmt.Errorf("copy program to %s: %w", name, err)
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return durable.Replace(to, 0o755, in)
}

// hosts is /etc/hosts of every machine.
func hosts(all []Machine) []byte {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n::1 localhost\n")
	for _, m := range all {
		for _, a := range m.Addresses {
			fmt.Fprintf(&b, "%s %s\n", a, m.Name)
		}
	}
	return []byte(b.String())
}

func (p *Provider) resolvers() ([]byte, error) {
	if !p.Network.NAT {
		return nil, nil
	}
	data, err := os.ReadFile(resolvConf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// writeMachineID gives a new machine its identity and leaves that of an old one.
func writeMachineID(path string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(strings.TrimSpace(string(old))) == 32 {
		return nil
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	return durable.WriteFile(path, []byte(hex.EncodeToString(id)+"\n"), 0o444)
}
