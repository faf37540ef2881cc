package nspawn

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// A firewallHook is where a chain of the host jumps to the cluster's own chain.
type firewallHook struct{ table, chain string }

var firewallHooks = []firewallHook{{"filter", "FORWARD"}, {"nat", "POSTROUTING"}}

// rules are those of the cluster's chain. A host with net.bridge.bridge-nf-call-iptables
// sends frames on the bridge through FORWARD, where Docker's policy is DROP; only
// an ACCEPT in the same table helps, which is why these are iptables' rules.
func (p *Provider) rules(table string) []string {
	in, out := "-i "+p.bridge(), "-o "+p.bridge()
	switch {
	case table == "filter" && p.Network.NAT:
		return []string{in + " -j ACCEPT", out + " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}
	case table == "filter":
		return []string{in + " " + out + " -j ACCEPT", in + " -j DROP", out + " -j DROP"}
	case p.Network.NAT:
		return []string{fmt.Sprintf("-s %s ! %s -j MASQUERADE", p.Network.Prefix.Masked(), out)}
	}
	return nil
}

// restoreInput is what iptables-restore replaces the cluster's chain with.
func (p *Provider) restoreInput(table string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%s\n:%s - [0:0]\n", table, p.chain())
	for _, r := range p.rules(table) {
		fmt.Fprintf(&b, "-A %s %s\n", p.chain(), r)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

func (p *Provider) makeFirewall(ctx context.Context) error {
	for _, h := range firewallHooks {
		if len(p.rules(h.table)) == 0 {
			if _, err := p.removeHook(ctx, h); err != nil {
				return err
			}
			continue
		}
		if err := iptables(ctx, p.restoreInput(h.table), "iptables-restore", "--wait", "--noflush"); err != nil {
			return err
		}
		jump := []string{h.chain, "-j", p.chain()}
		if iptables(ctx, "", on(h, "-C", jump...)...) == nil {
			continue
		}
		if err := iptables(ctx, "", on(h, "-I", jump...)...); err != nil {
			return err
		}
	}
	return nil
}

// removeFirewall removes the cluster's chains and the jumps to them. A host
// without iptables has none.
func (p *Provider) removeFirewall(ctx context.Context) (removed []string, err error) {
	if _, err := exec.LookPath("iptables"); err != nil {
		return nil, nil
	}
	var errs []error
	for _, h := range firewallHooks {
		found, err := p.removeHook(ctx, h)
		if found {
			removed = append(removed, fmt.Sprintf("iptables chain %s of table %s", p.chain(), h.table))
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

func (p *Provider) removeHook(ctx context.Context, h firewallHook) (found bool, err error) {
	if iptables(ctx, "", on(h, "-S", p.chain())...) != nil {
		return false, nil
	}
	for iptables(ctx, "", on(h, "-C", h.chain, "-j", p.chain())...) == nil {
		if err := iptables(ctx, "", on(h, "-D", h.chain, "-j", p.chain())...); err != nil {
			return true, err
		}
	}
	return true, firstError(
		func() error { return iptables(ctx, "", on(h, "-F", p.chain())...) },
		func() error { return iptables(ctx, "", on(h, "-X", p.chain())...) },
	)
}

func on(h firewallHook, action string, args ...string) []string {
	return slices.Concat([]string{"iptables", "--wait", "-t", h.table, action}, args)
}

func iptables(ctx context.Context, input string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
