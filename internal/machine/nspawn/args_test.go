package nspawn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArguments(t *testing.T) {
	want := []string{
		"systemd-nspawn", "--quiet", "--boot",
		"--directory=/state/cp-1/root",
		"--machine=haplane.demo.cp-1",
		"--hostname=cp-1",
		"--network-namespace-path=/run/netns/haplane.demo.cp-1",
		"--register=no", "--keep-unit",
		"--capability=all",
		"--system-call-filter=@keyring bpf",
		"--bind=/dev/kmsg",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--console=pipe",
		"--bind=/state/cp-1/data/etcd:/var/lib/etcd",
		"--bind=/state/cp-1/data/containerd:/var/lib/containerd",
		"--bind=/state/cp-1/data/kubelet:/var/lib/kubelet",
	}
	if d := cmp.Diff(want, provider("demo", false).arguments("cp-1")); d != "" {
		t.Error(d)
	}
}

func TestScoped(t *testing.T) {
	want := []string{
		"systemd-run", "--scope", "--quiet", "--collect",
		"--unit=haplane.demo.cp-1.scope", "--slice=haplane.slice", "--property=Delegate=yes", "true",
	}
	if d := cmp.Diff(want, provider("demo", false).scoped("cp-1", []string{"true"})); d != "" {
		t.Error(d)
	}
}

func TestOverlayOptions(t *testing.T) {
	p := provider("demo", false)
	p.StateDir = "/s,t:e"
	want := `lowerdir=/image,upperdir=/s\,t\:e/m/upper,workdir=/s\,t\:e/m/work`
	if got := p.overlayOptions(record{Name: "m", Image: "/image"}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFirewall(t *testing.T) {
	for name, c := range map[string]struct {
		nat         bool
		table, want string
	}{
		"closed": {false, "filter", "-i hp-demo -o hp-demo -j ACCEPT\n-i hp-demo -j DROP\n-o hp-demo -j DROP"},
		"open":   {true, "filter", "-i hp-demo -j ACCEPT\n-o hp-demo -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"},
		"no nat": {false, "nat", ""},
		"nat":    {true, "nat", "-s 10.73.11.0/24 ! -o hp-demo -j MASQUERADE"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(provider("demo", c.nat).rules(c.table), "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	machines := []Machine{{Name: "a", Address: provider("demo", false).Network.Gateway()}}
	if got, want := string(hosts(machines)), "127.0.0.1 localhost\n::1 localhost\n10.73.11.1 a\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
