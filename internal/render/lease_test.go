package render

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/lease"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/spec"
)

// pair has load balancers that share an address.
func pair(controlPlane, balancers int) *spec.Cluster {
	return withControlPlane(balanced("10.10.10.0/24", balancers), controlPlane)
}

// Who votes is what the machines are, and each voter has the keys, closed to all others.
func TestWhoVotes(t *testing.T) {
	machines := Render(input(pair(3, 2), Platform{}))
	var e lease.Electorate
	if err := json.Unmarshal(machines["lb-2"].Files[ElectorateFile].Data, &e); err != nil {
		t.Fatal(err)
	}
	text := func(file string) string { return string(machines[file].Files[ElectorateFile].Data) }
	if text("lb-1") != text("lb-2") || len(e.Balancers) != 2 || len(e.Machines) != 3 || text("cp-1") != "" {
		t.Errorf("lb-1 %s, lb-2 %s", text("lb-1"), text("lb-2"))
	}
	keys := map[string]bool{}
	for name, m := range machines {
		key, has := m.Files[leaseKeyFile]
		if name == "worker-1" {
			if has {
				t.Error("a worker has the keys")
			}
			continue
		}
		if key.Mode != 0o600 || !key.Secret() {
			t.Errorf("%s: the key has mode %o, is a secret: %v", name, key.Mode, key.Secret())
		}
		keys[string(key.Data)] = true
		for _, u := range m.Units {
			reads := slices.Contains(u.Self, leaseKeyFile)
			if want := u.Name == "haplane-voter" || u.Name == "haplane-balancer"; reads != want || slices.Contains(u.Files, leaseKeyFile) != want {
				t.Errorf("%s: %s reads the key again by itself: %v", name, u.Name, reads)
			}
		}
		for file, f := range m.Files {
			if file != leaseKeyFile && bytes.Contains(f.Data, bytes.TrimSpace(key.Data)) {
				t.Errorf("%s: the key is in %s", name, file)
			}
		}
	}
	if len(keys) != 1 {
		t.Errorf("%d keys", len(keys))
	}
	for name, m := range Render(input(spec.Default("demo"), Platform{})) {
		_, key := m.Files[leaseKeyFile]
		if votes := slices.ContainsFunc(m.Units, func(u Unit) bool { return u.Name == "haplane-voter" }); votes || key {
			t.Errorf("%s votes (%v) on an address that does not move", name, votes || key)
		}
	}
}

// Control-plane nodes that are load balancers vote as these: each once, by the one program that has the port, and nobody else.
func TestControlPlaneNodesThatBalanceVoteOnce(t *testing.T) {
	for _, network := range []string{"10.10.10.0/24", "10.10.10.0/24,fd00:10:10:10::/64"} {
		machines := Render(input(onControlPlane(network, spec.Shared), Platform{}))
		for name, m := range machines {
			var voters []string
			for _, u := range m.Units {
				if slices.Contains(u.Self, leaseKeyFile) {
					voters = append(voters, u.Name)
				}
			}
			if name == "worker-1" {
				if _, key := m.Files[leaseKeyFile]; key || voters != nil {
					t.Errorf("a worker votes: %v, %v", key, voters)
				}
				continue
			}
			if !slices.Equal(voters, []string{"haplane-balancer"}) {
				t.Errorf("%s votes by %v", name, voters)
			}
			var e lease.Electorate
			if err := json.Unmarshal(m.Files[ElectorateFile].Data, &e); err != nil {
				t.Fatal(err)
			}
			if len(e.Balancers) != 3 || len(e.Machines) != 0 {
				t.Errorf("%s: %+v", name, e)
			}
			// What it needs to vote is told with the load balancer, and not only with the rest of the node.
			part := m.Balancer()
			for _, file := range []string{ElectorateFile, leaseKeyFile} {
				if _, ok := part.Files[file]; !ok {
					t.Errorf("%s: %s is no part of the load balancer", name, file)
				}
			}
			if key := m.Files[leaseKeyFile]; key.Mode != 0o600 || !key.Secret() {
				t.Errorf("%s: the key has mode %o, is a secret: %v", name, key.Mode, key.Secret())
			}
		}
	}
}

// Nodes that come and go, and another key, restart none of those who vote: each restart is half a second without a vote.
func TestVotersGoOn(t *testing.T) {
	units := func(in Input) map[string]string {
		out := map[string]string{}
		for name, m := range Render(in) {
			for _, u := range m.Units {
				if strings.HasPrefix(u.Name, "haplane-voter") || strings.HasPrefix(u.Name, "haplane-balancer") {
					out[name+"/"+u.Name] = u.Config
				}
			}
		}
		return out
	}
	before := units(input(pair(3, 2), Platform{}))
	if len(before) != 5 {
		t.Fatalf("%v", before)
	}
	rotated := input(pair(3, 2), Platform{})
	rotated.Keys = rotated.Keys.During(pki.Switch, pki.Encryption, pki.Pair{Cert: []byte("key2"), Key: []byte("fedcba9876543210fedcba9876543210")})
	if diff := cmp.Diff(before, units(rotated)); diff != "" {
		t.Errorf("another key: %s", diff)
	}
	less := units(input(pair(2, 2), Platform{}))
	for name, config := range less {
		if before[name] != config {
			t.Errorf("a node less: %s is restarted", name)
		}
	}
	before = units(input(onControlPlane("10.10.10.0/24", spec.Shared), Platform{}))
	fewer := onControlPlane("10.10.10.0/24", spec.Shared)
	fewer.Spec.Nodes = slices.DeleteFunc(fewer.Spec.Nodes, func(n spec.Node) bool { return n.Name == "cp-3" })
	for name, config := range units(input(fewer, Platform{})) {
		if len(before) != 3 || before[name] != config {
			t.Errorf("a control-plane node less of %d: %s is restarted", len(before), name)
		}
	}
}

// While the encryption key is rotated, whoever has the keys of one phase believes what is signed in the one before and after.
func TestLeaseKeysAreRotated(t *testing.T) {
	keys := func(phase pki.Phase) [][]byte {
		b := input(pair(3, 2), Platform{}).Keys
		if phase != "" {
			b = b.During(phase, pki.Encryption, pki.Pair{Cert: []byte("key2"), Key: []byte("fedcba9876543210fedcba9876543210")})
		}
		return b.LeaseKeys()
	}
	phases := []pki.Phase{"", pki.Trust, pki.Switch, pki.Drop}
	for i := range len(phases) - 1 {
		a, b := keys(phases[i]), keys(phases[i+1])
		for _, both := range [][2][][]byte{{a, b}, {b, a}} {
			if !slices.ContainsFunc(both[1], func(k []byte) bool { return bytes.Equal(k, both[0][0]) }) {
				t.Errorf("between %q and %q: nobody believes %x", phases[i], phases[i+1], both[0][0][:4])
			}
		}
	}
	first, last := keys("")[0], keys(pki.Drop)
	if len(last) != 1 || bytes.Equal(first, last[0]) || len(first) != 32 {
		t.Errorf("%x after %x", last, first)
	}
	if secret := input(pair(3, 2), Platform{}).Keys.EncryptionKey; bytes.Contains(first, secret[:8]) || strings.Contains(hex.EncodeToString(first), hex.EncodeToString(secret[:8])) {
		t.Error("it has the encryption key in it")
	}
	if none := (pki.Bundle{}).LeaseKeys(); len(none) != 0 {
		t.Errorf("a key from nothing: %x", none)
	}
}
