package main

// kubeadm's way to an address that moves, on the machines of haplane's pair: keepalived and HAProxy as services of the operating system, with the settings of
// "Options for Software Load Balancing" in kubeadm's "High Availability Considerations" (https://github.com/kubernetes/kubeadm/blob/main/docs/ha-considerations.md)
// and Debian's own units. haplane's units and files are put aside meanwhile, and back afterwards.

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"net/netip"
	"strings"
	"text/template"
	"time"

	"github.com/haplane/haplane/e2e/bench/balancers"
	"github.com/haplane/haplane/e2e/rig/address"
	"github.com/haplane/haplane/internal/topology"
)

//go:embed guide
var guideFiles embed.FS

var guideTemplates = template.Must(template.ParseFS(guideFiles, "guide/*"))

// aside are haplane's files that its programs of the same names, or its guard, would go by.
var aside = []string{
	"/etc/systemd/system/haproxy.service", "/etc/systemd/system/keepalived.service", "/etc/systemd/system/haplane-balancer.service",
	"/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf",
}

// guideSettle is longer than it takes a check that has failed to count as well again: two of them, every three seconds.
const guideSettle = 10 * time.Second

// toGuide has the machines move the address as the guide says.
func toGuide(ctx context.Context, a *addressing) error {
	var servers []balancers.Server
	for _, n := range a.topology.ControlPlane() {
		servers = append(servers, balancers.Server{Name: n.Name, Address: netip.AddrPortFrom(n.Address, topology.APIServerPort)})
	}
	haproxy, err := balancers.Guide(fmt.Sprintf("*:%d", topology.APIServerPort), servers)
	if err != nil {
		return err
	}
	for i, m := range a.machines {
		script, err := guideScript(a.topology.LoadBalancer, i == 0, haproxy)
		if err != nil {
			return err
		}
		if err := ok(a.SSH(ctx, m.Name, script)); err != nil {
			return err
		}
	}
	return nil
}

// guideScript puts haplane's files aside and the guide's in their place. The first machine is the one that is to have the address.
func guideScript(at netip.AddrPort, first bool, haproxy []byte) (string, error) {
	values := struct {
		First   bool
		Address netip.Addr
		Port    uint16
	}{first, at.Addr(), at.Port()}
	files := map[string]*bytes.Buffer{"keepalived.conf": {}, "check_apiserver.sh": {}}
	for name, to := range files {
		if err := guideTemplates.ExecuteTemplate(to, name, values); err != nil {
			return "", err
		}
	}
	lines := []string{"set -e", "systemctl stop keepalived haplane-balancer haproxy"}
	for _, file := range aside {
		lines = append(lines, fmt.Sprintf("mv %s %s.haplane", file, file))
	}
	write := func(file, text string) {
		lines = append(lines, fmt.Sprintf("cat >%s <<'END-OF-FILE'\n%s\nEND-OF-FILE", file, strings.TrimSpace(text)))
	}
	write("/etc/haproxy/haproxy.cfg", string(haproxy))
	write("/etc/keepalived/keepalived.conf", files["keepalived.conf"].String())
	write("/etc/keepalived/check_apiserver.sh", files["check_apiserver.sh"].String())
	return strings.Join(append(lines, "chmod 755 /etc/keepalived/check_apiserver.sh", "systemctl daemon-reload", "systemctl start haproxy keepalived"), "\n"), nil
}

// fromGuide brings haplane's way back: what is there afterwards is as haplane up has made it, and up says so.
func fromGuide(ctx context.Context, a *addressing) error {
	for _, m := range a.machines {
		if err := ok(a.SSH(ctx, m.Name, guideEnd())); err != nil {
			return err
		}
	}
	for _, m := range a.machines {
		if err := within(ctx, settleWait, m.CouldTake); err != nil {
			return err
		}
	}
	up := a.Up(ctx)
	if err := ok(up); err != nil {
		return err
	}
	if !strings.Contains(up.Stdout, "nothing changed") {
		return fmt.Errorf("haplane's own way is not as it was:\n%s", up)
	}
	return nil
}

func guideEnd() string {
	lines := []string{"set -e", "systemctl stop keepalived haproxy", "rm -f /etc/keepalived/check_apiserver.sh"}
	for _, file := range aside {
		lines = append(lines, fmt.Sprintf("mv %s.haplane %s", file, file))
	}
	return strings.Join(append(lines, "systemctl daemon-reload", "systemctl start haproxy haplane-balancer keepalived"), "\n")
}

// guideSettled waits until the first machine has had the address for as long as its checks take: it always has it back.
func guideSettled(ctx context.Context, a *addressing) (address.Machine, error) {
	err := a.serves(ctx)
	for _, m := range a.machines {
		if err == nil {
			err = within(ctx, settleWait, func(ctx context.Context) error {
				return ok(a.SSH(ctx, m.Name, "systemctl is-active haproxy && systemctl is-active keepalived"))
			})
		}
	}
	if err != nil {
		return address.Machine{}, err
	}
	var holder address.Machine
	err = within(ctx, settleWait, func(ctx context.Context) (err error) {
		if holder, err = a.steady(ctx, guideSettle); err == nil && holder.Name != a.machines[0].Name {
			err = fmt.Errorf("%s has the address still, and not %s", holder.Name, a.machines[0].Name)
		}
		return err
	})
	return holder, err
}
