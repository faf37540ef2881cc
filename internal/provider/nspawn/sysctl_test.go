package nspawn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A host that begins to forward IPv6 keeps the routes that it has of its routers.
func TestForward(t *testing.T) {
	files := map[string]string{
		"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0",
		"net/ipv6/conf/eth0/accept_ra": "1", "net/ipv6/conf/eth1/accept_ra": "0", "net/ipv6/conf/eth2/accept_ra": "2",
	}
	four := map[string]string{"net/ipv4/ip_forward": "1"}
	six := map[string]string{"net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/eth0/accept_ra": "2"}
	for _, c := range []struct {
		family  family
		already bool
		changes map[string]string
	}{{ipv4, false, four}, {ipv6, false, six}, {ipv6, true, nil}} {
		dir, want := t.TempDir(), map[string]string{}
		for name, value := range files {
			if c.already && name == c.family.forward {
				value = "1"
			}
			write(t, filepath.Join(dir, name), value+"\n")
			want[name] = value
		}
		for name, value := range c.changes {
			want[name] = value
		}
		if err := forward(c.family, dir); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for name := range files {
			data, _ := os.ReadFile(filepath.Join(dir, name))
			got[name] = strings.TrimSpace(string(data))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s, forwarding already %t: %s", c.family.name, c.already, d)
		}
	}
}
