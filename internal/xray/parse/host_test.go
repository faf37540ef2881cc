package parse

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"ip -o addr", `1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: host0    inet 10.10.10.11/24 brd 10.10.10.255 scope global host0\       valid_lft forever preferred_lft forever
2: host0    inet 10.10.10.3/32 scope global host0\       valid_lft forever preferred_lft forever
2: host0    inet6 fd00::11/64 scope global \       valid_lft forever preferred_lft forever
2: host0    inet6 fe80::1/64 scope link \       valid_lft forever preferred_lft forever
3: cni0    inet 10.244.0.1/24 brd 10.244.0.255 scope global cni0\       valid_lft forever
4: br-0123456789ab    inet 172.18.0.1/16 scope global br-0123456789ab
5: br-ex    inet 192.168.1.5/24 scope global br-ex
6: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0
`, "[10.10.10.11 10.10.10.3 fd00::11 192.168.1.5]"},
		{"hostname -I", "10.10.10.11 fd00::11 10.10.10.11 169.254.1.1 ::1 \n", "[10.10.10.11 fd00::11]"},
		{"mapped", "::ffff:10.0.0.1 fe80::1%eth0", "[10.0.0.1]"},
		{"nonsense", "hello 1.2.3 0.0.0.0 :: 1.2.3.4/99 \x00 \xff", "[]"},
		{"nothing", "", "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(Addresses(tt.text)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestListening(t *testing.T) {
	got := Listening(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0B0A0A0A:094B 0C0A0A0A:CDEF 01 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0B0A0A0A:094C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 000000FD000000000000000011000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 0000000000000000FFFF00000100007F:094B 00000000000000000000000000000000:0000 0A 00000000:00000000
   3: 0B0A0A:094C 0:0 0A
   4: 0B0A0A0A:1094C 0:0 0A
   5: x:y 0:0 0A
   6: :1 0:0 0A
`)
	want := []string{"10.10.10.11:2380", "127.0.0.1:2379", "[::]:6443", "[fd00::11]:22"}
	var texts []string
	for _, a := range got {
		texts = append(texts, a.String())
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Error(diff)
	}
}

func TestFileStats(t *testing.T) {
	got := FileStats("1:2 640 root etcd 1679 /etc/kubernetes/pki/ca.key\n1:3 4755 _apt root 0 /a b\nstat: cannot statx '/x': No such file\n1:2 999 root root 1 /y\n1:2 600 root root x /z\n1:2 600 root root 1 relative\n2:2 100600 root root 7 /m\n1:4 644 root root 1 /last")
	want := []FileStat{{evidence.File{Path: "/etc/kubernetes/pki/ca.key", Mode: 0o640, Owner: "root", Group: "etcd", Size: 1679}, "1:2"},
		{evidence.File{Path: "/a b", Mode: 0o4755, Owner: "_apt", Group: "root"}, "1:3"},
		{evidence.File{Path: "/m", Mode: 0o600, Owner: "root", Group: "root", Size: 7}, "2:2"},
		{evidence.File{Path: "/last", Mode: 0o644, Owner: "root", Group: "root", Size: 1}, "1:4"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDigests(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	got := Digests(sum + "  /etc/a b\n" + sum + " */etc/c\n" + sum + "  \n" + sum[1:] + "  /short\nsha256sum: /x: No such file\n" + strings.ToUpper(sum) + "  /upper\n")
	if diff := cmp.Diff(map[string]string{"/etc/a b": sum, "/etc/c": sum}, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzHost(f *testing.F) {
	f.Add("2: host0    inet 10.10.10.11/24 brd\n 0: 0100007F:094B 00000000:0000 0A\n1:2 600 root root 1 /x\n")
	f.Add("::1%\x00 " + strings.Repeat("f", 40) + "/\xff")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range Addresses(text) {
			if !a.IsValid() || a.IsLoopback() || a.Zone() != "" || a.Is4In6() {
				t.Errorf("address %v", a)
			}
		}
		before := netip.AddrPort{}
		for _, a := range Listening(text) {
			if !a.IsValid() || a.Compare(before) <= 0 {
				t.Errorf("%v after %v", a, before)
			}
			before = a
		}
		for _, s := range FileStats(text) {
			if !strings.HasPrefix(s.Path, "/") || s.Mode > 0o7777 {
				t.Errorf("%+v", s)
			}
		}
		Digests(text)
	})
}
