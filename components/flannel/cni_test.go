package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestCNIConfig(t *testing.T) {
	text, err := json.MarshalIndent(cniConfig([]string{"10.244.1.0/24", "fd00:1::/64"}, 1450), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "conflist.golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text) + "\n"; got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWriteAtomicReplacesAndLeavesNothingElse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net.d")
	path := filepath.Join(dir, "10.conflist")
	for _, content := range []string{"one", "two"} {
		if err := writeAtomic(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("got %q, %v; want %q", got, err, content)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("folder has %v, %v; want the file alone", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestReadSubnetFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subnet.env")
	if err := os.WriteFile(path, []byte("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := readSubnetFile(path)
	if got := f.v4("FLANNEL_SUBNET").String(); got != "10.244.1.0/24" {
		t.Errorf("subnet %s, want 10.244.1.0/24", got)
	}
	if got := f.v4("FLANNEL_MTU"); !got.Empty() {
		t.Errorf("MTU as a network is %s, want none", got)
	}
	if got := f.v6("FLANNEL_IPV6_SUBNET"); !got.Empty() {
		t.Errorf("IPv6 subnet %s, want none", got)
	}
	if got := readSubnetFile(path + ".missing"); len(got) != 0 {
		t.Errorf("a missing file has %v", got)
	}
}
