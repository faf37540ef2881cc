package xray

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// kubeVIPFlags are the flags that variables of kube-vip stand for. The variables go first.
var kubeVIPFlags = map[string]string{"address": "address", "vip_address": "vip", "port": "port", "vip_interface": "interface", "vip_arp": "arp",
	"vip_leaderelection": "leaderElection", "cp_enable": "controlplane", "svc_enable": "services", "lb_enable": "enableLoadBalancer", "lb_port": "lbPort",
	"bgp_enable": "bgp", "vip_routingtable": "table", "vip_wireguard": "wireguard", "config_file": "config-file", "vip_leasename": "leaseName", "cp_namespace": "namespace"}

func kubeVIPSetting(p *evidence.Program, name string) string {
	if v := p.Variables[name]; v != "" {
		return v
	}
	v, _ := (&evidence.Program{Argv: p.Argv}).Flag(kubeVIPFlags[name])
	return v
}

func kubeVIPAddress(p *evidence.Program) string {
	return cmp.Or(kubeVIPSetting(p, "address"), kubeVIPSetting(p, "vip_address"))
}

func isOn(p *evidence.Program, name string) bool {
	return slices.Contains([]string{"true", "1", "t", "T", "TRUE", "True"}, kubeVIPSetting(p, name))
}

// servicesOnly tells a kube-vip that has nothing to do with the control plane.
func servicesOnly(p *evidence.Program) bool {
	return isOn(p, "svc_enable") && !isOn(p, "cp_enable") && kubeVIPAddress(p) == ""
}

func (s *Scene) kubeVIPFindings(machines []*evidence.Machine) []Finding {
	var out []Finding
	model, lock := "", ""
	for _, m := range machines {
		p := m.Program(evidence.KubeVIP)
		where := at{m.Name, p.Source()}
		if len(p.Variables) == 0 && kubeVIPAddress(p) == "" || kubeVIPSetting(p, "config_file") != "" {
			out = append(out, where.skip("what kube-vip is told was not seen"))
			continue
		}
		model = cmp.Or(model, kubeVIPAddress(p))
		found := append(s.kubeVIPAims(where, p, model), kubeVIPMoves(where, p)...)
		if own := kubeVIPLock(p); isOn(p, "vip_leaderelection") {
			lock = cmp.Or(lock, own)
			if own != lock {
				found = append(found, where.fail("Lease "+lock+", as on "+machines[0].Name, "Lease "+own+": it is elected beside the others, and two machines have the address"))
			}
		}
		if i := kubeVIPSetting(p, "vip_interface"); i != "" && m.Interfaces != nil && !slices.Contains(m.Interfaces, i) {
			found = append(found, where.fail("an interface that the machine has: "+list(m.Interfaces), "vip_interface "+i))
		}
		if stopped(m, p.Name) {
			found = append(found, where.fail("kube-vip running", "it does not run"))
		}
		out = append(out, orPass(found, where, "kube-vip moves %s", kubeVIPAddress(p))...)
	}
	return out
}

// kubeVIPLock is the Lease by which kube-vip elects who has the address (pkg/kubevip/config_environment.go
// and its flags: plndr-cp-lock in kube-system, unless told otherwise).
func kubeVIPLock(p *evidence.Program) string {
	return cmp.Or(kubeVIPSetting(p, "cp_namespace"), "kube-system") + "/" + cmp.Or(kubeVIPSetting(p, "vip_leasename"), "plndr-cp-lock")
}

// kubeVIPAims judges for which address and port it is.
func (s *Scene) kubeVIPAims(where at, p *evidence.Program, model string) []Finding {
	var out []Finding
	want := model
	if s.Endpoint != "" && !loopback(s.Endpoint) && s.owner(s.Endpoint) == nil {
		want = host(s.Endpoint)
	}
	if a, err := netip.ParseAddr(kubeVIPAddress(p)); err == nil && a.Unmap().String() != want || err != nil && kubeVIPAddress(p) != want {
		if _, err := netip.ParseAddr(want); err == nil || want == model { // a name may be that of any address
			out = append(out, where.fail("address "+want, "address "+cmp.Or(kubeVIPAddress(p), "none")))
		}
	}
	port := cmp.Or(kubeVIPSetting(p, "lb_port"), kubeVIPSetting(p, "port"), fmt.Sprint(defaultSecurePort))
	if isOn(p, "lb_enable") && s.Endpoint != "" && want == host(s.Endpoint) && port != fmt.Sprint(portOf(s.Endpoint)) {
		out = append(out, where.fail(fmt.Sprintf("port %d, which clients use", portOf(s.Endpoint)), "it balances port "+port))
	}
	return out
}

// kubeVIPMoves judges whether it moves the address.
func kubeVIPMoves(where at, p *evidence.Program) []Finding {
	var out []Finding
	if !isOn(p, "cp_enable") {
		out = append(out, where.fail("cp_enable true", "cp_enable is not set: it does nothing for the control plane"))
	}
	arp, told := isOn(p, "vip_arp"), isOn(p, "bgp_enable") || isOn(p, "vip_routingtable") || isOn(p, "vip_wireguard")
	switch {
	case !arp && !told:
		out = append(out, where.fail("vip_arp or bgp_enable true", "neither is: nobody learns where the address is"))
	case arp && !isOn(p, "vip_leaderelection"):
		out = append(out, where.warn("vip_leaderelection true", "it is not set: two machines may have the address at once, for only some versions elect a leader without"))
	}
	return out
}
