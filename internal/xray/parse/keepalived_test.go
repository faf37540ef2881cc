package parse

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func TestKeepalived(t *testing.T) {
	plain := evidence.VRRP{Name: "VI_1", Priority: 100, Version: 2, Interval: time.Second}
	with := func(change func(*evidence.VRRP)) evidence.VRRP { v := plain; change(&v); return v }
	const begin = "vrrp_instance VI_1 {\n"
	for _, tt := range []struct {
		name, text string
		want       evidence.VRRP
	}{
		{"by default", begin + "}", plain},
		{"kubeadm's guide", `! Configuration File
global_defs {
    router_id LVS_DEVEL
}
vrrp_script check_apiserver {
  script "/etc/keepalived/check_apiserver.sh {"
  interval 3
  weight -2
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 101
    authentication {
        auth_type PASS
        auth_pass 42
    }
    virtual_ipaddress {
        10.0.0.100/24 brd 10.0.0.255 dev eth0 label eth0:1
    }
    track_script {
        check_apiserver
    }
}
`, with(func(v *evidence.VRRP) {
			v.State, v.Interface, v.RouterID, v.Priority, v.Auth, v.Addresses = "MASTER", "eth0", 51, 101, "PASS", addrs("10.0.0.100")
			v.Tracks = []evidence.Track{{Name: "check_apiserver", Weight: -2}}
		})},
		{"OpenShift's", "vrrp_script a {\n weight 20\n}\nvrrp_script b {\n weight 5\n}\n" + begin + "priority 40\nunicast_src_ip 10.0.0.1\nunicast_peer {\n 10.0.0.2\n 10.0.0.3 min_ttl 1\n}\ntrack_script {\n a\n b weight 7\n c\n}\n}",
			with(func(v *evidence.VRRP) {
				v.Priority, v.Source, v.Peers, v.Undefined = 40, netip.MustParseAddr("10.0.0.1"), addrs("10.0.0.2", "10.0.0.3"), []string{"c"}
				v.Tracks = []evidence.Track{{Name: "a", Weight: 20}, {Name: "b", Weight: 7}}
			})},
		{"unicast to nobody", begin + "unicast_peer {\n}\n}", with(func(v *evidence.VRRP) { v.Peers = []netip.Addr{} })},
		{"version 3, IPv6 and fractions", "global_defs {\n vrrp_version 3\n}\n" + begin + "advert_int 0.5\nvirtual_ipaddress {\n fd00::1/64\n}\nvirtual_ipaddress_excluded {\n 10.0.0.9\n}\n}",
			with(func(v *evidence.VRRP) {
				v.Version, v.Interval, v.Addresses = 3, 500*time.Millisecond, addrs("fd00::1", "10.0.0.9")
			})},
		{"a process", "vrrp_track_process haproxy {\n process haproxy\n}\n" + begin + "track_process {\n haproxy\n}\n}", with(func(v *evidence.VRRP) { v.Tracks = []evidence.Track{{Name: "haproxy"}} })},
		{"a file", "track_file haproxy {\n file /run/haplane/haproxy\n weight 0\n}\nvrrp_track_file old {\n file /run/old\n}\n" + begin + "track_file {\n haproxy\n old\n}\n}", with(func(v *evidence.VRRP) { v.Tracks = []evidence.Track{{Name: "haproxy"}, {Name: "old"}} })},
		{"tracked by its group", "vrrp_script a {\n}\nvrrp_sync_group G {\n group {\n VI_1\n }\n track_script {\n a\n }\n}\n" + begin + "}", with(func(v *evidence.VRRP) { v.Tracks = []evidence.Track{{Name: "a"}} })},
		{"lines of machines", begin + "@lb-1 priority 101\n@lb-2 priority 99\n@^lb-1 state BACKUP\n}", with(func(v *evidence.VRRP) { v.Priority = 101 })},
		{"macros", "$VIP=10.0.0.100/24\n$ID = 7\n" + begin + "virtual_router_id $ID\nvirtual_ipaddress {\n ${VIP}\n}\n}", with(func(v *evidence.VRRP) { v.RouterID, v.Addresses = 7, addrs("10.0.0.100") })},
		{"on one line, a brace on the next", "vrrp_instance VI_1\n{ virtual_router_id 9 # why\n}", with(func(v *evidence.VRRP) { v.RouterID = 9 })},
		{"as machines show it", "vrrp_script a { script REDACTED }\n" + begin + "authentication {\nauth_type AH\nauth_pass REDACTED\n}\ntrack_script {\na\n}\n}",
			with(func(v *evidence.VRRP) { v.Auth, v.Tracks = "AH", []evidence.Track{{Name: "a"}} })},
		{"nonsense", begin + "priority high\nvirtual_router_id\nadvert_int -1\nvirtual_ipaddress {\n VIP\n}\n", plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Keepalived("/etc/keepalived/keepalived.conf", tt.text, "lb-1")
			if diff := cmp.Diff([]evidence.VRRP{tt.want}, got.Instances, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := Keepalived("", "include /etc/keepalived/conf.d/*.conf\n! vrrp_instance A {\n", ""); len(got.Instances) > 0 || len(got.Notes) != 1 {
		t.Errorf("%+v", got)
	}
}

func FuzzKeepalived(f *testing.F) {
	f.Add("vrrp_instance a { priority 1\n virtual_ipaddress { 10.0.0.1\n } }")
	f.Add(strings.Repeat("{", 100) + "$A=$A\n@x ${A} \"")
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range Keepalived("", text, "a").Instances {
			if v.Interval <= 0 {
				t.Errorf("%+v", v)
			}
		}
	})
}

// Nothing of kube-vip's environment but what it moves is kept.
func TestKubeVIPOfAPod(t *testing.T) {
	pod, err := Manifest(`{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: "ghcr.io/kube-vip/kube-vip:v0.8.0", args: [manager], env: [
{name: address, value: 10.0.0.100}, {name: vip_arp, value: "true"}, {name: bgp_peerpass, value: x}, {name: bgp_peers, value: "10.0.0.1:65000:x:false"}]}]}}`)
	if err != nil {
		t.Fatal(err)
	}
	got := Pod(pod, evidence.FromManifest, "")
	want := map[string]string{"address": "10.0.0.100", "vip_arp": "true"}
	if len(got) != 1 || got[0].Name != evidence.KubeVIP || cmp.Diff(want, got[0].Variables) != "" {
		t.Errorf("%+v", got)
	}
}
