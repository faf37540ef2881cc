package kubeadm

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	cryptossh "golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/ssh"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
)

// createMachines makes the machines as `haplane up` does, and waits until they take commands.
func (s *sequence) createMachines(ctx context.Context) error {
	user, userPublic, err := newKey()
	if err != nil {
		return err
	}
	host, hostPublic, err := newKey()
	if err != nil {
		return err
	}
	config, err := s.sshConfig(user, hostPublic)
	if err != nil {
		return err
	}
	s.provider = &nspawn.Provider{Cluster: s.Topology.Name, StateDir: s.Machines, Image: s.Image.Root,
		Network: nspawn.Network{Prefixes: s.Topology.Machines}}
	var machines []nspawn.Machine
	for _, n := range s.Topology.Nodes {
		machines = append(machines, nspawn.Machine{Name: n.Name, Addresses: n.Addresses, HostKey: host, AuthorizedKey: userPublic})
	}
	if err := s.provider.Create(ctx, machines); err != nil {
		return err
	}
	if s.ssh, err = ssh.New(config, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	return s.onAll(ctx, func(ctx context.Context, n topology.Node) error {
		return poll.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error { return s.run(ctx, n, "true") })
	})
}

// sshConfig writes the ssh_config that reaches the machines, all with one host key.
func (s *sequence) sshConfig(user, hostPublic []byte) (string, error) {
	var config, known bytes.Buffer
	for _, n := range s.Topology.Nodes {
		fmt.Fprintf(&config, "Host %s\n  HostName %s\n  HostKeyAlias %s\n\n", n.Name, n.Address, n.Name)
		fmt.Fprintf(&known, "%s %s", n.Name, hostPublic)
	}
	key, hosts, file := filepath.Join(s.Dir, "key"), filepath.Join(s.Dir, "known_hosts"), filepath.Join(s.Dir, "config")
	fmt.Fprintf(&config, "Host *\n  User root\n  IdentityFile %q\n  IdentitiesOnly yes\n  IdentityAgent none\n"+
		"  UserKnownHostsFile %q\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n  ConnectTimeout 5\n  LogLevel ERROR\n", key, hosts)
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{key: user, hosts: known.Bytes(), file: config.Bytes()} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return "", err
		}
	}
	return file, nil
}

// newKey returns a private key, and its public half as a line of authorized_keys.
func newKey() (private, public []byte, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := cryptossh.MarshalPrivateKey(key, "bench")
	if err != nil {
		return nil, nil, err
	}
	half, err := cryptossh.NewPublicKey(key.Public())
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(block), cryptossh.MarshalAuthorizedKey(half), nil
}

func (s *sequence) run(ctx context.Context, n topology.Node, argv ...string) error {
	_, err := s.ssh.Machine(n.Name).Run(ctx, machine.Cmd(argv...))
	return err
}

// onAll calls fn for all nodes at once.
func (s *sequence) onAll(ctx context.Context, fn func(context.Context, topology.Node) error) error {
	var all errgroup.Group
	for _, n := range s.Topology.Nodes {
		all.Go(func() error {
			if err := fn(ctx, n); err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
			return nil
		})
	}
	return all.Wait()
}
