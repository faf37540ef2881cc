package store

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Files of SSH in a store.
const (
	userKeyFile    = "ssh/id_ed25519"
	knownHostsFile = "ssh/known_hosts"
	sshConfigFile  = "ssh/config"
)

func hostKeyFile(node string) string { return "ssh/host-keys/" + node }

// SSHKeys are how the machines are reached: a key of the cluster's own for the
// user, and a host key for each machine that is known before it boots.
type SSHKeys struct {
	AuthorizedKey []byte
	HostKeys      map[string][]byte // private keys by node name, OpenSSH PEM
}

// PrepareSSH makes what is missing of the keys, and the ssh_config that pins them, for
// the given hosts and no others. The error is a *LostError where a host that exists was made
// with a key that is no longer there.
func (s Store) PrepareSSH(hosts []Host) (SSHKeys, error) {
	lost, err := s.LostSSH(hosts)
	if err != nil {
		return SSHKeys{}, err
	}
	if len(lost) > 0 {
		return SSHKeys{}, &LostError{Cluster: s.Name(), Secrets: lost}
	}
	user, err := s.sshKey(userKeyFile)
	if err != nil {
		return SSHKeys{}, err
	}
	keys := SSHKeys{AuthorizedKey: ssh.MarshalAuthorizedKey(user.public), HostKeys: map[string][]byte{}}
	var known, config strings.Builder
	for _, h := range hosts {
		host, err := s.sshKey(hostKeyFile(h.Name))
		if err != nil {
			return SSHKeys{}, err
		}
		keys.HostKeys[h.Name] = host.private
		fmt.Fprintf(&known, "%s %s", h.Name, ssh.MarshalAuthorizedKey(host.public))
		fmt.Fprintf(&config, "Host %s\n  HostName %s\n  HostKeyAlias %s\n\n", h.Name, h.Address, h.Name)
	}
	config.WriteString(s.sshDefaults())
	if err := s.save(knownHostsFile, []byte(known.String()), 0o600); err != nil {
		return SSHKeys{}, fmt.Errorf("pin host keys: %w", err)
	}
	if err := s.save(sshConfigFile, []byte(config.String()), 0o600); err != nil {
		return SSHKeys{}, fmt.Errorf("write ssh configuration: %w", err)
	}
	return keys, nil
}

// MoveSSH makes the ssh_config name the keys where they are now: its folder may have been moved, or copied, and
// ssh_config has no paths that are relative to it. Without a configuration there is nothing to do.
func (s Store) MoveSSH() error {
	config, err := s.load(sshConfigFile)
	if err != nil {
		return fmt.Errorf("read ssh configuration: %w", err)
	}
	if len(config) == 0 {
		return nil
	}
	hosts, _, _ := strings.Cut(string(config), sshAll)
	text := hosts + s.sshDefaults()
	if text == string(config) {
		return nil
	}
	if err := s.save(sshConfigFile, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write ssh configuration: %w", err)
	}
	return nil
}

// MoveHost has the ssh_config lead to a host at another address; its key stays.
func (s Store) MoveHost(name, address string) error {
	config, err := s.load(sshConfigFile)
	if err != nil {
		return fmt.Errorf("read ssh configuration: %w", err)
	}
	lines := strings.Split(string(config), "\n")
	for i := range lines[:max(len(lines)-1, 0)] {
		if lines[i] == "Host "+name {
			lines[i+1] = "  HostName " + address
		}
	}
	if err := s.save(sshConfigFile, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return fmt.Errorf("write ssh configuration: %w", err)
	}
	return nil
}

func (s Store) sshDefaults() string {
	return fmt.Sprintf(sshDefaults, s.path(userKeyFile), s.path(knownHostsFile))
}

// sshAll begins the part of an ssh_config that is about all hosts.
const sshAll = "Host *\n"

// sshDefaults are for machines on a bridge of this host, which no eavesdropper records
// for a quantum computer to come: OpenSSH's hybrid key exchange against that takes
// 70 ms of CPU for each connection, as much as all else of it. Of the others OpenSSL's
// own P-256 is the fastest.
const sshDefaults = sshAll + `  User root
  IdentityFile "%s"
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile "%s"
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  UpdateHostKeys no
  HostKeyAlgorithms ssh-ed25519
  KexAlgorithms ^ecdh-sha2-nistp256
  Ciphers ^aes128-gcm@openssh.com
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  ConnectTimeout 5
  ServerAliveInterval 5
  ServerAliveCountMax 2
  LogLevel ERROR
`

type sshKey struct {
	private []byte
	public  ssh.PublicKey
}

// sshKey reads a key, or makes it where it cannot be read.
func (s Store) sshKey(name string) (sshKey, error) {
	data, err := s.load(name)
	if err != nil {
		return sshKey{}, fmt.Errorf("read ssh key: %w", err)
	}
	if signer, err := ssh.ParsePrivateKey(data); err == nil {
		return sshKey{private: data, public: signer.PublicKey()}, nil
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return sshKey{}, fmt.Errorf("make ssh key %s: %w", name, err)
	}
	block, err := ssh.MarshalPrivateKey(private, "haplane")
	if err != nil {
		return sshKey{}, fmt.Errorf("make ssh key %s: %w", name, err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return sshKey{}, fmt.Errorf("make ssh key %s: %w", name, err)
	}
	key := sshKey{private: pem.EncodeToMemory(block), public: public}
	return key, s.save(name, key.private, 0o600)
}
