package store

import (
	"cmp"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Lost secret is one that a cluster which exists depends on.
type Lost struct {
	File    string // in the store, such as pki/ca.key
	Reason  string // missing, or why it cannot be used
	Depends string // on it, in words
	Way     string // to bring it back
}

// A LostError lists secrets that are lost. No new ones are made in their place.
type LostError struct {
	Cluster string
	Secrets []Lost
}

// Error has three lines for each.
func (e *LostError) Error() string {
	var w strings.Builder
	fmt.Fprintf(&w, "cluster %s exists and depends on what is lost here; nothing was made in its place:", e.Cluster)
	for _, l := range e.Secrets {
		fmt.Fprintf(&w, "\n%s: %s\n  %s\n  %s", l.File, l.Reason, l.Depends, l.Way)
	}
	return w.String()
}

// LostKeys says of keys that are lost what depends on them and how they come back.
func (s Store) LostKeys(lost []pki.Lost, hosts []Host) []Lost {
	var out []Lost
	rotated := s.rotated()
	for _, l := range lost {
		known := keyUses[l.File]
		one := Lost{File: "pki/" + l.File, Reason: l.Reason, Depends: cmp.Or(known.depends, "the rotation that is under way")}
		switch from := controlPlaneOf(hosts); {
		case l.Ended && rotated != "":
			one.Way = "what it signed is good for nothing without it, and while the rotation of " + rotated + " is under way it is not made anew: haplane down and up make the cluster anew"
		case l.Ended:
			one.Way = "what it signed is good for nothing without it: haplane certs renew --cluster " + s.Name() + " makes it anew with the key that it has, and all that it signed; the cluster's data stays"
		case known.command == "":
			one.Way = "no machine has it: restore " + s.path("pki", l.File) + " from a backup"
		case rotated != "" && strings.HasPrefix(l.File, pki.Rotatable[rotated]+"."):
			one.Way = "restore " + s.path("pki", l.File) + " from a backup: while the rotation of " + rotated + " is under way, machines have both generations, and a copy from there could be the other one"
		case from == "":
			one.Way = "restore " + s.path("pki", l.File) + " from a backup"
		default:
			one.Way = "restore it from a backup, or copy it from a control-plane node: " + s.CopyFrom(from, known.command, one.File)
		}
		out = append(out, one)
	}
	return out
}

// rotated is the authority or key that is being rotated; "" for none.
func (s Store) rotated() string {
	record, err := s.readRecord()
	if err != nil || record == nil || record.Rotation == nil {
		return ""
	}
	return record.Rotation.Name
}

// CopyFrom is the command that writes to a file of the store what a command prints on a node.
func (s Store) CopyFrom(node, command, file string) string {
	return fmt.Sprintf("haplane ssh --cluster %s %s %s | install -D -m 600 /dev/stdin %s", s.Name(), node, command, s.path(file))
}

func controlPlaneOf(hosts []Host) string {
	for _, h := range hosts {
		if h.Role == spec.RoleControlPlane && h.Exists {
			return h.Name
		}
	}
	return ""
}

// A keyUse is what depends on a key, and what prints it on a control-plane node: nothing
// where no machine has it.
type keyUse struct{ depends, command string }

var keyUses = map[string]keyUse{
	"ca.crt": {"all clients and nodes verify the API servers by it, and API servers their clients",
		"cat " + topology.PKIDir + "/ca.crt"},
	"ca.key": {"it signs all certificates of Kubernetes, those that nodes ask for too",
		"cat " + topology.PKIDir + "/ca.key"},
	"etcd/ca.crt": {"etcd's members and API servers verify each other by it",
		"cat " + topology.PKIDir + "/etcd/ca.crt"},
	"etcd/ca.key": {"it signs the certificates of etcd's members and of their clients", ""},
	"front-proxy-ca.crt": {"aggregated APIs verify the API servers by it",
		"cat " + topology.PKIDir + "/front-proxy-ca.crt"},
	"front-proxy-ca.key": {"it signs the certificate with which API servers ask aggregated APIs", ""},
	"sa.key": {"it signs the tokens of service accounts: with another, those of all pods are refused",
		"cat " + topology.PKIDir + "/sa.key"},
	"encryption.key": {"Secrets in etcd are encrypted with it: with another, they cannot be read",
		`"sed -n 's/^ *secret: *//p' ` + topology.KubernetesDir + `/encryption.yaml" | base64 -d`},
}

// LostSSH lists the keys that hosts which exist were made with, and that are missing or cannot
// be read.
func (s Store) LostSSH(hosts []Host) ([]Lost, error) {
	var out []Lost
	user := ""
	for _, h := range hosts {
		if !h.Exists {
			continue
		}
		if user == "" {
			reason, err := s.unreadable(userKeyFile)
			if err != nil {
				return nil, err
			}
			if user = "looked at"; reason != "" {
				out = append(out, s.lostUserKey(reason))
			}
		}
		reason, err := s.unreadable(hostKeyFile(h.Name))
		if err != nil {
			return nil, err
		}
		if reason != "" {
			out = append(out, s.lostHostKey(h.Name, reason))
		}
	}
	return out, nil
}

func (s Store) lostUserKey(reason string) Lost {
	return Lost{File: userKeyFile, Reason: reason, Depends: "all machines are reached with it, and with no other",
		Way: "no machine has it: restore " + s.path(userKeyFile) + " from a backup. Without one, put a new key there and " +
			"its public half into /root/.ssh/authorized_keys of every machine, by a way of your own"}
}

func (s Store) lostHostKey(node, reason string) Lost {
	file := hostKeyFile(node)
	return Lost{File: file, Reason: reason, Depends: "the machine " + node + " proves with it that it is " + node,
		Way: "restore it from a backup, or copy it from that machine: " + s.CopyFrom(node, "cat /etc/ssh/ssh_host_ed25519_key", file)}
}

// unreadable says why an SSH key cannot be used, or nothing.
func (s Store) unreadable(name string) (string, error) {
	data, err := s.load(name)
	if err != nil {
		return "", fmt.Errorf("read ssh key: %w", err)
	}
	if len(data) == 0 {
		return "missing", nil
	}
	if _, err := ssh.ParsePrivateKey(data); err != nil {
		return "it is not a private key that can be read", nil
	}
	return "", nil
}
