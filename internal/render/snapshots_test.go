package render

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/spec"
)

// scheduled are the machines of a cluster with such snapshots, and a deposit of this digest.
func scheduled(t *testing.T, s spec.EtcdSnapshots, digest string) map[string]Machine {
	t.Helper()
	c := spec.Default("demo")
	c.Spec.Etcd.Snapshots = s
	spec.SetDefaults(c)
	in := input(c, Platform{})
	in.Snapshots = Snapshots{Lineage: "L", Encryption: "key1 00", DepositDigest: digest, Deposit: []byte("sealed")}
	return Render(in)
}

func configs(m Machine) map[string]string {
	out := map[string]string{}
	for _, u := range m.Units {
		out[u.Name] = u.Config
	}
	return out
}

// No program restarts because snapshots are turned on, changed or turned off: not even the one that takes them.
func TestSnapshotsRestartNothing(t *testing.T) {
	off := scheduled(t, spec.EtcdSnapshots{}, "")
	on := scheduled(t, spec.EtcdSnapshots{Schedule: "@daily"}, "")
	changed := scheduled(t, spec.EtcdSnapshots{Schedule: "@hourly", Retain: new(9), Recipients: []string{"age1x"}}, "0123456789abcdef")
	for name, m := range off {
		before, then, last := configs(m), configs(on[name]), configs(changed[name])
		own, has := then["haplane-snapshots"]
		if has != strings.HasPrefix(name, "cp-") {
			t.Errorf("%s takes snapshots: %v", name, has)
		}
		if own != last["haplane-snapshots"] {
			t.Errorf("%s: it restarts when its schedule changes", name)
		}
		for unit, config := range before {
			if then[unit] != config || last[unit] != config {
				t.Errorf("%s: %s restarts", name, unit)
			}
		}
		if wrong := fileset.Unwanted(string(m.Files[ManifestPath].Data), on[name].Files); len(wrong) > 0 {
			t.Errorf("%s: %v go", name, wrong)
		}
	}
}

// Encrypted once more the deposit is other bytes: it is written when its digest is another, and the one of before goes.
func TestADepositIsKeptUntilItIsAnother(t *testing.T) {
	s := spec.EtcdSnapshots{Schedule: "@daily", Recipients: []string{"age1x"}}
	first, second := scheduled(t, s, "aaaaaaaaaaaaaaaa")["cp-1"].Files, scheduled(t, s, "bbbbbbbbbbbbbbbb")["cp-1"].Files
	const a, b = "/var/lib/haplane/deposit-aaaaaaaaaaaaaaaa.age", "/var/lib/haplane/deposit-bbbbbbbbbbbbbbbb.age"
	f := first[a]
	if !f.Current(fileset.State{Sum: "another"}) || f.Mode != 0o600 || string(f.Data) != "sealed" {
		t.Errorf("deposit %+v", f)
	}
	if gone := fileset.Unwanted(string(first[ManifestPath].Data), second); !slices.Equal(gone, []string{a}) || len(second.Under(b)) != 1 {
		t.Errorf("%v go", gone)
	}
	var c SnapshotConfig
	if err := json.Unmarshal(first["/etc/kubernetes/haplane-snapshots.json"].Data, &c); err != nil || c.Deposit != a || c.Retain != spec.DefaultRetain || c.Node != "cp-1" || c.Lineage != "L" {
		t.Errorf("configuration %+v, %v", c, err)
	}
}

// It sees etcd's data by way of etcd alone, and of the keys the one that it shows to it.
func TestWhatTakesSnapshotsSeesOneKey(t *testing.T) {
	files := scheduled(t, spec.EtcdSnapshots{Schedule: "@daily"}, "")["cp-1"].Files
	text := unitText(files, "haplane-snapshots")
	for _, hidden := range []string{"/var/lib/etcd", "/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/etcd/server.key", "/etc/kubernetes/encryption.yaml"} {
		if !strings.Contains(text, " -"+hidden+" ") && !strings.Contains(text, "=-"+hidden+" ") {
			t.Errorf("it sees %s:\n%s", hidden, text)
		}
	}
	for _, sees := range []string{"-/etc/kubernetes/pki/etcd/healthcheck-client.key", "-/var/lib/haplane"} {
		if strings.Contains(text, " "+sees+" ") || strings.Contains(text, "="+sees+" ") {
			t.Errorf("it does not see %s", sees)
		}
	}
}
