package xrayhtml

import (
	"fmt"
	"maps"
	"slices"

	"github.com/haplane/haplane/internal/xray"
)

// describe makes the parts of a cluster, with what is known of each, and gives
// every finding to one of them.
func describe(c *cluster, findings []xray.Finding) {
	c.describeWhole()
	for _, lb := range c.LoadBalancers {
		p := c.parts.get(lb.Node)
		p.role("load balancer")
		p.fact("Program", lb.Kind)
		p.fact("Listens on", lb.Frontends...)
		p.fact("Backends", lb.Backends...)
		p.fact("Down", lb.Down...)
	}
	for _, col := range c.columns {
		c.describeColumn(col)
	}
	for _, m := range c.members {
		c.describeMember(c.parts.get(m.machine()), m)
	}
	c.describeWorkers()
	for _, f := range findings {
		c.give(f)
	}
}

// describeWhole makes the parts that are no machine.
func (c *cluster) describeWhole() {
	p := c.parts.get(wholeCluster)
	for _, lease := range slices.Sorted(maps.Keys(c.Leaders)) {
		p.fact("Leader of "+lease, c.Leaders[lease])
	}
	if c.hasEndpoint() {
		c.parts.get(loadBalancing).fact("Clients reach the API at", c.Endpoint)
	}
	if c.hasService() {
		p := c.parts.get(theService)
		p.fact("Service IP", c.ServiceIP)
		p.fact("Endpoints", c.ServiceEndpoints...)
	}
	if c.hasEtcd() {
		c.parts.get(wholeEtcd)
	}
}

func (c *cluster) describeColumn(col column) {
	p := c.parts.get(col.name)
	for _, as := range col.ghost {
		p.role(as + ", not seen")
	}
	if a := col.api; a != nil {
		p.role("control-plane node")
		p.fact("Addresses", a.Addresses...)
		p.fact("API server", a.Version, either(a.Ready, "ready", "not ready"))
		p.fact("Advertises", a.Advertised)
		p.fact("Certificate has", a.Names...)
		p.fact("Certificate SHA-256", a.Fingerprint)
		p.fact("Asks etcd at", a.EtcdServers...)
		p.fact("kubelet asks", col.kubelet)
		p.fact("Node is", col.ready)
		p.fact("Leader of", col.leads...)
	}
	if col.etcd != nil {
		c.describeMember(p, *col.etcd)
	}
}

func (c *cluster) describeMember(p *part, m member) {
	p.role("etcd member")
	p.fact("etcd member", m.Name, m.Version, m.state())
	p.fact("etcd answers at", m.ClientURLs...)
}

func (c *cluster) describeWorkers() {
	if len(c.workers) <= mostWorkers {
		for _, n := range c.workers {
			p := c.parts.get(n.Name)
			p.role("worker node")
			p.fact("kubelet asks", n.Server)
			for _, lb := range c.own {
				if lb.Node == n.Name {
					p.fact("It and its pods are led to", lb.Kind+" beside them")
					p.fact("Backends", lb.Backends...)
					p.fact("Down", lb.Down...)
				}
			}
			p.fact("Node is", either(n.Ready, "ready", "not ready"))
		}
		return
	}
	var names, unready, servers []string
	for _, n := range c.workers {
		names = append(names, n.Name)
		if n.Ready != nil && !*n.Ready {
			unready = append(unready, n.Name)
		}
		if !slices.Contains(servers, n.Server) {
			servers = append(servers, n.Server)
		}
	}
	p := c.parts.get(manyWorkers)
	p.fact("Nodes", names...)
	p.fact("Not ready", unready...)
	p.fact("kubelets ask", servers...)
	var own []string
	for _, lb := range c.own {
		own = append(own, lb.Node)
	}
	p.fact("Load balancers of their own", own...)
}

// machine is where a member is, else its name.
func (m member) machine() string {
	if m.Node == "" {
		return m.Name
	}
	return m.Node
}

// state is what a member is, in the fewest words.
func (m member) state() string {
	switch {
	case m.unseen:
		return "not asked"
	case m.Healthy != nil && !*m.Healthy:
		return "unhealthy"
	case m.Node == "":
		return "no answer"
	case m.Leader:
		return "leader"
	case m.Learner:
		return "learner"
	}
	return "member"
}

// give gives a finding to the part that it is shown at.
func (c *cluster) give(f xray.Finding) {
	name := place(f)
	if f.Node == "" && !c.parts.has(name) {
		name = wholeCluster
	}
	if f.Node != "" && !c.parts.has(name) {
		if i := slices.IndexFunc(c.workers, func(n xray.PictureNode) bool { return n.Name == name }); i >= 0 {
			name = c.workerPart(c.workers[i])
		} else {
			c.others = append(c.others, name)
		}
	}
	p := c.parts.get(name)
	p.Findings = append(p.Findings, f)
}

// workerPart is a worker's own part, or that of all where they are many.
func (c *cluster) workerPart(n xray.PictureNode) string {
	if len(c.workers) > mostWorkers {
		return manyWorkers
	}
	return n.Name
}

func (c *cluster) hasEtcd() bool {
	return len(c.members) > 0 || slices.ContainsFunc(c.columns, func(col column) bool { return col.etcd != nil })
}

func either(yes *bool, ifYes, ifNo string) string {
	switch {
	case yes == nil:
		return ""
	case *yes:
		return ifYes
	}
	return ifNo
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
