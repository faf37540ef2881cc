package render

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/spec"
)

// A machine with a default route, in a network namespace: what is sent, refused and
// let through. Whatever leaves by a link is counted there.
const fencedMachine = `set -e
ip link set lo up
for link in eth0 cni0 flannel.1; do
  ip link add $link type veth peer name p-$link
  ip link set p-$link up
  ip link set $link up arp off
  echo 0 >/proc/sys/net/ipv6/conf/$link/router_solicitations
  echo 1 >/proc/sys/net/ipv6/conf/$link/accept_dad
done
ip address add 10.20.0.11/24 dev eth0
ip route add default via 10.20.0.1
ip -6 address add fd20::11/64 dev eth0 nodad
ip -6 route add default via fd20::1
ip route add 10.244.0.0/24 dev cni0
ip route add 10.244.1.0/24 dev flannel.1
iptables -t nat -A OUTPUT -d 10.96.0.1/32 -p udp --dport 443 -j DNAT --to-destination 10.20.0.3:6443
for i in 1 2; do $FENCE; done
sent() { cat /sys/class/net/$1/statistics/tx_packets; }
say() { # link, address, port
  before=$(sent $1)
  bash -c "exec 3<>/dev/udp/$2/$3 && echo x >&3; echo y >&3" 2>/dev/null && how=taken || how=refused
  after=$(sent $1)
  [ $after -gt $before ] && went=out || went=kept
  echo $2:$3 $went $how
}
say eth0 10.96.0.1 443
say eth0 10.96.0.1 444
say eth0 10.96.9.9 53
say eth0 10.244.7.7 80
say cni0 10.244.0.7 80
say flannel.1 10.244.1.7 80
say eth0 10.99.0.1 80
say eth0 10.200.0.1 80
say eth0 fd96::9 80
say eth0 fd97::9 80
iptables -S | grep -c -- '-j HAPLANE-FENCE'
iptables -S HAPLANE-FENCE | wc -l
iptables -F HAPLANE-FENCE
say eth0 10.96.9.9 53
`

func TestNothingForTheFencedNetworksLeaves(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("makes a network namespace")
	}
	for _, program := range []string{"unshare", "ip", "iptables-restore", "ip6tables-restore", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	c := spec.Default("demo")
	c.Spec.Network.ServiceCIDR, c.Spec.Network.PodCIDR = "10.96.0.0/12,fd96::/112", "10.244.0.0/16,fd44::/56"
	b := builder{Input: input(c, Platform{})}
	script := filepath.Join(t.TempDir(), "fence")
	if err := os.WriteFile(script, []byte(b.fenceText()), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--net", "--mount", "sh", "-c", "mount -t sysfs none /sys\n"+fencedMachine)
	cmd.Env = append(os.Environ(), "FENCE="+script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := `10.96.0.1:443 out taken
10.96.0.1:444 kept refused
10.96.9.9:53 kept refused
10.244.7.7:80 kept refused
10.244.0.7:80 out taken
10.244.1.7:80 out taken
10.99.0.1:80 kept refused
10.200.0.1:80 out taken
fd96::9:80 kept refused
fd97::9:80 out taken
2
7
10.96.9.9:53 kept refused
`
	if d := cmp.Diff(want, string(out)); d != "" {
		t.Error(d)
	}
}

func TestWhoIsFenced(t *testing.T) {
	off := false
	c := spec.Default("demo")
	c.Spec.ControlPlane.Kubelet = &off
	for name, m := range Render(input(c, Platform{})) {
		_, fenced := m.Files[fence]
		if want := !strings.HasPrefix(name, "lb-"); fenced != want {
			t.Errorf("%s is fenced: %v, want %v", name, fenced, want)
		}
	}
}
