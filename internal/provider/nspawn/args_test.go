package nspawn

import (
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
		"--unit=haplane.demo.cp-1.scope", "--slice=machine.slice", "--property=Delegate=yes", "true",
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

func TestHosts(t *testing.T) {
	machines := []Machine{{Name: "a", Addresses: dual("demo", false).Network.Gateways()}}
	want := "127.0.0.1 localhost\n::1 localhost\n10.73.11.1 a\nfd00:10:73:11::1 a\n"
	if got := string(hosts(machines)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
