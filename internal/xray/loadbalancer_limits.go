package xray

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// How many connections a node has to the API, by our own rule: see the check.
const (
	fewestOfNode = 4
	ampleOfNode  = 10
	ampleBeside  = 100
)

// A limit is a bound on connections with where it is from.
type limit struct {
	connections int
	what        string
	vague       bool // it may be more: the number of CPUs is not known
}

func lbLimits(s *Scene) []Finding {
	return s.configured(func(b balancer) []Finding {
		nodes := s.nodesBehind(b)
		var out []Finding
		for _, l := range limitsOf(b) {
			if f := l.judge(b, nodes); f.Status != Pass {
				out = append(out, f)
			}
		}
		if n := b.Limits.PerClient; n > 0 && n < ampleOfNode {
			out = append(out, b.at().judge(false, statusOf(n < fewestOfNode), fmt.Sprintf("room for %d connections of each node", ampleOfNode), fmt.Sprintf("limit_conn lets each client have %d", n)))
		}
		out = append(out, slices.Concat(rateLimit(b, nodes), fileLimit(b))...)
		return orPass(out, b.at(), "%s", describeLimits(b, nodes))
	})
}

func statusOf(fails bool) Status {
	if fails {
		return Fail
	}
	return Warn
}

func (l limit) judge(b balancer, nodes int) Finding {
	fewest, ample := fewestOfNode*nodes, ampleOfNode*nodes+ampleBeside
	expected := fmt.Sprintf("room for %d connections: %d for each of %s and %d beside", ample, ampleOfNode, plural(nodes, "node"), ampleBeside)
	observed := fmt.Sprintf("%s: %s", l.what, plural(l.connections, "connection"))
	switch {
	case l.connections >= ample || l.vague && l.connections >= fewest:
		return b.at().pass("%s", observed)
	case l.connections < fewest && !l.vague:
		return b.at().fail(expected, observed+fmt.Sprintf(", fewer than %d for each node", fewestOfNode))
	}
	return b.at().warn(expected, observed)
}

// limitsOf are those that hold for all clients together.
func limitsOf(b balancer) []limit {
	var out []limit
	add := func(n int, what string, args ...any) {
		if n > 0 {
			out = append(out, limit{connections: n, what: fmt.Sprintf(what, args...)})
		}
	}
	add(b.Limits.Process, "maxconn of global")
	add(b.Limits.Frontend, "maxconn of the frontend")
	add(b.Limits.Files/2, "ulimit-n %d of global, of which a session takes two", b.Limits.Files)
	if files := filesOf(b, true); b.Kind == evidence.HAProxy && b.Limits.Process+b.Limits.Files == 0 {
		add(files/2, "LimitNOFILE=%d of its unit, of which a session takes two", files)
	}
	if n, ok := serversLeft(b); ok {
		add(max(n, 1), "limits of its servers when one of them is down")
	}
	if b.Kind == evidence.Nginx && b.Limits.WorkerConnections > 0 {
		out = append(out, workerLimit(b))
	}
	return out
}

// serversLeft is what servers take together that are left when one is down.
func serversLeft(b balancer) (int, bool) {
	sum, most := 0, 0
	for _, x := range b.Backends {
		if x.Backup || x.Status == "MAINT" {
			continue
		}
		if x.MaxConn == 0 {
			return 0, false
		}
		sum, most = sum+x.MaxConn, max(most, x.MaxConn)
	}
	if b.Kind == evidence.Nginx { // each worker counts for itself
		sum, most = sum*b.Limits.Workers, most*b.Limits.Workers
	}
	if activeServers(b) > 1 {
		sum -= most
	}
	return sum, sum > 0
}

// workerLimit is what nginx's workers take: a session is two connections.
func workerLimit(b balancer) limit {
	each, what := b.Limits.WorkerConnections, fmt.Sprintf("worker_connections %d", b.Limits.WorkerConnections)
	files := b.Limits.WorkerFiles
	if files == 0 {
		files = filesOf(b, false)
	}
	if files > 0 && files < each {
		each, what = files, fmt.Sprintf("%s with %d files for a worker", what, files)
	}
	out := limit{connections: each / 2 * b.Limits.Workers, what: fmt.Sprintf("%s, of which a session takes two, in %s", what, plural(b.Limits.Workers, "worker")), vague: b.Limits.WorkersByCPU}
	if out.vague {
		out.what = what + ", of which a session takes two, in each worker"
	}
	return out
}

// filesOf is how many files the unit lets the program have, 0 where nothing says it: systemd
// takes SOFT:HARD, or one number for both.
func filesOf(b balancer, hard bool) int {
	p := b.machine.Program(b.Kind)
	if p == nil || p.Unit == nil {
		return 0
	}
	soft, most, both := strings.Cut(p.Unit.Settings["LimitNOFILE"], ":")
	if both && hard {
		soft = most
	}
	n, err := strconv.Atoi(strings.TrimSpace(soft))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// rateLimit warns where after a fault clients give up before all have come anew.
func rateLimit(b balancer, nodes int) []Finding {
	rate, ample := b.Limits.PerSecond, ampleOfNode*nodes+ampleBeside
	if seconds := int(clientHandshake / time.Second); rate == 0 || rate*seconds >= ample {
		return nil
	}
	return []Finding{b.at().warn(fmt.Sprintf("%d connections within %s, after which clients give up", ample, clientHandshake), fmt.Sprintf("it takes %d a second", rate))}
}

// fileLimit is about HAProxy that cannot raise its own limit of files: it needs two for a
// connection, and from 2.3 on does not start without.
func fileLimit(b balancer) []Finding {
	files := filesOf(b, true)
	if b.Kind != evidence.HAProxy || files == 0 || 2*b.Limits.Process <= files {
		return nil
	}
	settings := b.machine.Program(b.Kind).Unit.Settings
	user, bounds := settings["User"], settings["CapabilityBoundingSet"]
	if (user == "" || user == "root" || user == "0") && (bounds == "" || strings.HasPrefix(bounds, "~") || strings.Contains(bounds, "CAP_SYS_RESOURCE")) {
		return nil // root raises it
	}
	return []Finding{b.at().fail(fmt.Sprintf("LimitNOFILE above %d, two files for each of maxconn %d", 2*b.Limits.Process, b.Limits.Process),
		fmt.Sprintf("LimitNOFILE=%d of its unit, and no right to raise it: HAProxy 2.3 and later do not start", files))}
}

// nodesBehind counts the nodes whose connections come through a load balancer: one, where it
// serves its own machine.
func (s *Scene) nodesBehind(b balancer) int {
	if s.servesItsOwn(b) {
		return 1
	}
	n := 0
	if s.API != nil {
		n = len(s.API.Nodes)
	}
	if c := s.Expect.Cluster; c != nil {
		n = max(n, len(s.Expected(spec.RoleControlPlane))+len(s.Expected(spec.RoleWorker)))
	}
	return max(n, len(s.Instances(evidence.Kubelet)), len(s.ControlPlane()), 1)
}

func describeLimits(b balancer, nodes int) string {
	var parts []string
	for _, l := range limitsOf(b) {
		parts = append(parts, fmt.Sprintf("%s: %d", l.what, l.connections))
	}
	if len(parts) == 0 {
		return "no limit is configured"
	}
	return fmt.Sprintf("%s; %s", strings.Join(parts, ", "), plural(nodes, "node"))
}
