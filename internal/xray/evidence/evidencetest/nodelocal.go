package evidencetest

import (
	"maps"
	"net/netip"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// NodeLocal is what machines and API show of a cluster that haplane made with a load balancer of its own on each worker, to which that leads what it
// sends to the load balancer and to the kubernetes Service.
func NodeLocal(identity spec.Identity) *evidence.Evidence {
	m, e := maker{identity: identity}, Healthy(identity)
	for _, out := range e.Machines {
		if out.Program(evidence.Kubelet) != nil && out.Program(evidence.APIServer) == nil {
			m.balancesItself(out)
		}
	}
	return e
}

func (m maker) balancesItself(out *evidence.Machine) {
	alone, at := m.loadBalancer(), netip.AddrPortFrom(out.Addresses[0], 7445)
	maps.Copy(out.Files, alone.Files)
	maps.Copy(out.Certificates, alone.Certificates)
	out.LoadBalancer = alone.LoadBalancer
	out.LoadBalancer.Frontends = []string{at.String()}
	out.Programs = append(out.Programs, alone.Programs[0])
	number(out)
	out.Listening = append(out.Listening, at)
	out.Led = []evidence.Lead{{To: netip.MustParseAddrPort(Endpoint), At: at}, {To: netip.MustParseAddrPort(ServiceIP + ":443"), At: at}}
}
