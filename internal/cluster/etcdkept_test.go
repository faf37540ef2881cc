package cluster

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func TestParseKept(t *testing.T) {
	k := parseKept("cp-1", "1064960 20261128T120005Z-r683.tar\n77 trouble\n99 20261128T180001Z-r690.tar.age\n12 .20261128T180001Z-r690.tar.9.new\n4096 work\ntrouble: 2026-11-28T18:00:05Z no room\n")
	if len(k.list) != 2 || k.trouble != "2026-11-28T18:00:05Z no room" {
		t.Fatalf("%+v", k)
	}
	first, last := k.list[0], k.list[1]
	if first.File != "cp-1:20261128T120005Z-r683.tar" || first.Bytes != 1064960 || first.Revision != 683 || first.Encrypted || !last.Encrypted || last.Taken.Hour() != 18 {
		t.Errorf("%+v", k.list)
	}
	if k := parseKept("cp-1", ""); k.list != nil || k.trouble != "" {
		t.Errorf("of nothing: %+v", k)
	}
}

func TestSnapshotWarnings(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 4, 0, 0, time.UTC)
	of := func(ago time.Duration, trouble string) kept {
		k := snapshot.NewKept(now.Add(-ago), 7, false)
		return kept{list: []Snapshot{{Taken: k.Taken}}, trouble: trouble}
	}
	nodes := topology.New(spec.Default("demo")).EtcdMembers()[:1]
	for name, test := range map[string]struct {
		seen map[string]kept
		want string // "" for nothing
	}{
		"current":         {map[string]kept{"cp-1": of(59*time.Minute, "")}, ""},
		"overdue":         {map[string]kept{"cp-1": of(6*time.Hour+5*time.Minute, "")}, "newer than 2026-11-28 05:59:00 UTC, and one was due 2026-11-28 06:00:00 UTC"},
		"none":            {map[string]kept{"cp-1": {}}, "snapshots of etcd (0 */6 * * *): cp-1 has none yet"},
		"none, and why":   {map[string]kept{"cp-1": {trouble: "at noon no room"}}, "cp-1 has none yet; the last attempt: at noon no room"},
		"trouble alone":   {map[string]kept{"cp-1": of(time.Minute, "no room")}, "cp-1 the last attempt: no room"},
		"nobody looked":   {nil, ""},
		"taking its time": {map[string]kept{"cp-1": of(6*time.Hour+4*time.Minute, "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(snapshotWarnings(spec.EtcdSnapshots{Schedule: "0 */6 * * *"}, nodes, test.seen, now), "\n")
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

const withRecipient = "apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\nspec:\n  etcd: {snapshots: {schedule: \"@daily\", recipients: [RECIPIENT]}}\n"

// What machines keep of the cluster's keys is read by who has the private key alone, and is the same
// until a key or the cluster file is another: certificates of programs come and go without it.
func TestDeposit(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s := applied(t, strings.Replace(withRecipient, "RECIPIENT", key.Recipient().String(), 1))
	c, err := s.Cluster()
	if err != nil {
		t.Fatal(err)
	}
	rows := pki.Catalogue(topology.New(c))
	plan, _ := pki.Plan(rows, pki.Bundle{}, time.Now(), false)
	keys, err := pki.Issue(rows, pki.Bundle{}, plan, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	deposit := func(keys pki.Bundle, text []byte) (string, []byte) {
		t.Helper()
		l := asked(t, s, Request{Wanted: c, Text: text})
		l.keys = keys
		if err := l.addSnapshots(); err != nil {
			t.Fatal(err)
		}
		return l.snapshots.DepositDigest, l.snapshots.Deposit
	}
	first, sealed := deposit(keys, nil)
	again, other := deposit(keys, nil)
	if first == "" || first != again || string(sealed) == string(other) || strings.Contains(string(sealed), string(keys.Pairs[pki.CA].Key)) {
		t.Errorf("digests %s and %s", first, again)
	}
	renewed, err := pki.Issue(rows, keys, []pki.Reissue{{Name: pki.APIServer}}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if now, _ := deposit(renewed, nil); now != first {
		t.Error("another certificate makes another deposit")
	}
	text, err := s.ClusterText()
	if err != nil {
		t.Fatal(err)
	}
	if now, _ := deposit(keys, append(text, "# another\n"...)); now == first {
		t.Error("another cluster file does not")
	}
	rotated := keys
	rotated.EncryptionKey = []byte("another key of thirty-two bytes.")
	if now, _ := deposit(rotated, nil); now == first {
		t.Error("another encryption key does not")
	}
	database := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(database, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.tar.age")
	if err := snapshot.WriteFile(file, snapshot.Manifest{}, database, snapshot.WithDeposit(sealed), []age.Recipient{key.Recipient()}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, files, err := snapshot.Read(f, []age.Identity{key}, &strings.Builder{})
	if err != nil || string(files["pki/ca.key"]) != string(keys.Pairs[pki.CA].Key) || string(files["cluster.yaml"]) != string(text) || len(files["record.json"]) == 0 {
		t.Errorf("files %d, %v", len(files), err)
	}
}

// A snapshot without keys tells by which its Secrets are read.
func TestSnapshotOfAnotherEncryptionKey(t *testing.T) {
	s := testStore(t)
	c := clusterOf(t, "")
	e := newEnv(c, testOptions(t, s))
	mine := []byte("0123456789abcdef0123456789abcdef")
	if err := s.SaveKeys(pki.Bundle{EncryptionKey: mine}, []string{pki.Encryption}); err != nil {
		t.Fatal(err)
	}
	if err := e.loadKeys(); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"": "", snapshot.Fingerprint("key1", mine): "", snapshot.Fingerprint("key1", []byte("another")): "key key1 of then", snapshot.Fingerprint("key2", mine): "key key2 of then"} {
		err := e.sameFingerprint(snapshot.Manifest{Encryption: text})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if strings.Contains(snapshot.Fingerprint("key1", mine), string(mine)) {
		t.Error("it tells the key")
	}
}
