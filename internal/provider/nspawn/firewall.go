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
type firewallHook struct {
	family       family
	table, chain string
}

var firewallHooks = []firewallHook{
	{ipv4, "filter", "FORWARD"}, {ipv4, "nat", "POSTROUTING"},
	{ipv6, "filter", "FORWARD"}, {ipv6, "nat", "POSTROUTING"},
}

// rules are those of the cluster's chain. A host with net.bridge.bridge-nf-call-iptables
// sends frames on the bridge through FORWARD, where Docker's policy is DROP; only
// an ACCEPT in the same table helps, which is why these are iptables' rules.
//
// What comes from another cluster, or is for one, is dropped before anything is
// accepted, whichever of the two chains the host reads first.
func (p *Provider) rules(h firewallHook) []string {
	in, out := "-i "+p.bridge(), "-o "+p.bridge()
	prefix := p.Network.prefix(h.family)
	open := p.Network.NAT && prefix.IsValid()
	switch {
	case h.family == ipv6 && !prefix.IsValid():
		return nil // the bridge takes no IPv6; a host without it may have no table for it
	case h.table == "nat" && open:
		return []string{fmt.Sprintf("-s %s ! %s -j MASQUERADE", prefix, out)}
	case h.table == "nat":
		return nil
	case open:
		return []string{
			in + " " + out + " -j ACCEPT",
			in + " -o " + anyBridge + " -j DROP", "-i " + anyBridge + " " + out + " -j DROP",
			in + " -j ACCEPT", out + " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		}
	}
	return []string{in + " " + out + " -j ACCEPT", in + " -j DROP", out + " -j DROP"}
}

// restoreInput is what iptables-restore replaces the cluster's chain with.
func (p *Provider) restoreInput(h firewallHook) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%s\n:%s - [0:0]\n", h.table, p.chain())
	for _, r := range p.rules(h) {
		fmt.Fprintf(&b, "-A %s %s\n", p.chain(), r)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

func (p *Provider) makeFirewall(ctx context.Context) error {
	for _, h := range firewallHooks {
		if len(p.rules(h)) == 0 {
			if _, err := p.removeHook(ctx, h); err != nil {
				return err
			}
			continue
		}
		if err := iptables(ctx, p.restoreInput(h), h.family.restore(), "--wait", "--noflush"); err != nil {
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

// removeFirewall removes the cluster's chains and the jumps to them.
func (p *Provider) removeFirewall(ctx context.Context) (removed []string, err error) {
	var errs []error
	for _, h := range firewallHooks {
		found, err := p.removeHook(ctx, h)
		if found {
			removed = append(removed, fmt.Sprintf("%s chain %s of table %s", h.family.program, p.chain(), h.table))
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

// removeHook removes one of them, if it is there. A host without iptables has none.
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
	return slices.Concat([]string{h.family.program, "--wait", "-t", h.table, action}, args)
}

func iptables(ctx context.Context, input string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
