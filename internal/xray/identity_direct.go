package xray

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func directAccess(s *Scene) []Finding {
	var out []Finding
	asked := false
	for _, m := range s.ControlPlane() {
		server := s.Server(m.Name)
		local := purpose(m, evidence.LocalAPIServer)
		asked = asked || server != nil || len(local) > 0
		switch {
		case server != nil:
			out = append(out, s.direct(m, server))
		case len(local) > 0:
			out = append(out, locally(m, local[0]))
		default:
			out = append(out, at{node: m.Name}.skip("it was not asked"))
		}
	}
	if !asked {
		return nil
	}
	return out
}

// direct judges an API server as it answers the host that looks, which may not be
// allowed to reach it while clients are.
func (s *Scene) direct(m *evidence.Machine, server *evidence.Server) Finding {
	where := at{m.Name, "https://" + server.Address}
	expected := "an answer, and a certificate that verifies for " + server.ServerName
	silent := s.silent(m.Name)
	switch {
	case silent != "":
		return where.fail(expected, silent).fixed("Start kube-apiserver on %s, restart it if it hangs, and see its log.", m.Name)
	case server.Err != "" && s.listensElsewhere(m.Name) != "":
		return where.fail(expected, server.Err+": "+s.listensElsewhere(m.Name)).fixed("Set --bind-address of kube-apiserver on %s to an address that the load balancer reaches, or leave it out, and restart it.", m.Name)
	case server.Err != "" && answersLocally(m):
		return where.warn(expected, server.Err+"; on its own machine it answers")
	case server.Err != "":
		return where.warn(expected, server.Err+"; perhaps only the host that looks cannot reach it")
	case server.VerifyErr != "":
		return where.fail(expected, server.VerifyErr)
	case server.Ready == nil:
		return where.pass("its certificate verifies for %s; readiness was not asked", server.ServerName)
	case !*server.Ready:
		return where.fail("a server that is ready", "not ready: "+server.ReadyDetail).fixed("See the log of kube-apiserver on %s.", m.Name)
	}
	return where.pass("ready, and its certificate verifies for %s", server.ServerName)
}

// locally judges by what its own machine gets, where nobody else asked.
func locally(m *evidence.Machine, r evidence.Request) Finding {
	where, expected := at{m.Name, "GET " + r.URL}, "200, the certificate verified for "+r.ServerName
	switch {
	case r.Err != "":
		return where.fail(expected, r.Err)
	case !apiAnswered(r):
		return where.fail(expected, fmt.Sprint(r.Status))
	}
	return where.pass("%d on its own machine, the certificate verified for %s", r.Status, r.ServerName)
}

// apiAnswered: where anonymous requests are off, an API server answers 401 or 403.
func apiAnswered(r evidence.Request) bool {
	return r.Err == "" && (r.Status == 200 || r.Status == 401 || r.Status == 403)
}

func answersLocally(m *evidence.Machine) bool {
	local := purpose(m, evidence.LocalAPIServer)
	return len(local) > 0 && apiAnswered(local[0])
}

// silent is why a node's API server does not answer; "" where it does, or where it
// may only be out of reach of the host that looks.
func (s *Scene) silent(node string) string {
	server, m := s.Server(node), s.Machine(node)
	if server == nil || server.Err == "" || m != nil && answersLocally(m) {
		return ""
	}
	if s.Used(evidence.Machines) || strings.Contains(server.Err, "refused") {
		return server.Err
	}
	return ""
}
