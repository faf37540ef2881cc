package xrayhtml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

// A cluster is what there is to draw, before it has a place.
type cluster struct {
	xray.Picture
	parts   *parts
	seen    int      // API servers that were looked into; others follow
	columns []column // control-plane nodes, then what is said to be one
	members []member // etcd on machines of its own
	workers []xray.PictureNode
	own     []xray.PictureLoadBalancer // of workers, for these alone; LoadBalancers has the others
	others  []string                   // names of findings that are nowhere else
	flows   []flow
}

// A column is a control-plane node: its API server and what belongs to it. A ghost
// has no API server that was seen: only somebody's word for it.
type column struct {
	id      string
	name    string
	api     *xray.PictureAPIServer
	kubelet string   // the server of its kubelet
	ready   string   // its node
	unseen  bool     // that it is one is all that is known: nobody looked into it
	leads   []string // Leases that it holds
	etcd    *member
	ghost   []string // as what it is named
}

// A member is an etcd member.
type member struct {
	xray.PictureEtcdMember
	id     string
	unseen bool // an API server names it, but no member list was seen
}

func newCluster(p xray.Picture, ps *parts) *cluster {
	c := &cluster{Picture: p, parts: ps}
	c.LoadBalancers = nil
	for _, lb := range p.LoadBalancers {
		if lb.Local {
			c.own = append(c.own, lb)
		} else {
			c.LoadBalancers = append(c.LoadBalancers, lb)
		}
	}
	c.addLabelled()
	for i := range c.APIServers {
		c.columns = append(c.columns, c.column(i))
	}
	for _, m := range p.EtcdMembers {
		c.placeMember(member{PictureEtcdMember: m})
	}
	if len(p.EtcdMembers) == 0 {
		c.unseenMembers()
	}
	for _, n := range p.Nodes {
		if !n.ControlPlane && !slices.ContainsFunc(c.columns, func(col column) bool { return col.name == n.Name }) {
			c.workers = append(c.workers, n)
		}
	}
	c.flows = slices.Concat(c.clientFlows(), c.balancedFlows(), c.serviceFlows(), c.etcdFlows())
	return c
}

// addLabelled adds the control-plane nodes of which only the API tells.
func (c *cluster) addLabelled() {
	c.seen = len(c.APIServers)
	c.APIServers = slices.Clone(c.APIServers)
	for _, n := range c.Nodes {
		if n.ControlPlane && !slices.ContainsFunc(c.APIServers, func(a xray.PictureAPIServer) bool { return a.Node == n.Name }) {
			c.APIServers = append(c.APIServers, xray.PictureAPIServer{Node: n.Name})
		}
	}
}

func (c *cluster) column(i int) column {
	a := &c.APIServers[i]
	out := column{id: fmt.Sprintf("node-%d", i), name: a.Node, api: a, unseen: i >= c.seen}
	for _, n := range c.Nodes {
		if n.Name == a.Node {
			out.kubelet, out.ready = n.Server, either(n.Ready, "ready", "not ready")
		}
	}
	for lease, node := range c.Leaders {
		if node == a.Node {
			out.leads = append(out.leads, lease)
		}
	}
	slices.Sort(out.leads)
	return out
}

// ghost returns the ID of what an address or a name is said to be, though nothing
// of it was seen.
func (c *cluster) ghost(name, as string) string {
	for i := range c.columns {
		col := &c.columns[i]
		if col.api != nil || hostOf(col.name) != hostOf(name) {
			continue
		}
		if !slices.Contains(col.ghost, as) {
			col.ghost = append(col.ghost, as)
		}
		return col.id
	}
	c.columns = append(c.columns, column{id: fmt.Sprintf("node-%d", len(c.columns)), name: name, ghost: []string{as}})
	return c.columns[len(c.columns)-1].id
}

// placeMember puts an etcd member beside its API server, else on a machine of its
// own. One without a machine is a ghost among those that it should be with.
func (c *cluster) placeMember(m member) {
	for i := range c.columns {
		col := &c.columns[i]
		if col.api != nil && (m.Node == col.name || m.Node == "" && c.isOf(m, col)) {
			m.id, col.etcd = fmt.Sprintf("etcd-%d", i), &m
			return
		}
	}
	if m.Node == "" && len(c.members) == 0 && len(c.columns) > 0 {
		host := cmp.Or(hostOf(cmp.Or(m.ClientURLs...)), m.Name)
		id := c.ghost(host, "etcd member "+m.Name)
		i := slices.IndexFunc(c.columns, func(col column) bool { return col.id == id })
		m.id, c.columns[i].etcd = fmt.Sprintf("etcd-%d", i), &m
		return
	}
	m.id = fmt.Sprintf("etcd-%d", len(c.columns)+len(c.members))
	c.members = append(c.members, m)
}

func (c *cluster) isOf(m member, col *column) bool {
	return m.Name == col.name || slices.ContainsFunc(m.ClientURLs, func(u string) bool { return slices.Contains(col.api.Addresses, hostOf(u)) })
}

// unseenMembers are those that the API servers name, where no member was asked.
func (c *cluster) unseenMembers() {
	for i := range c.columns {
		col := &c.columns[i]
		for _, u := range col.api.EtcdServers {
			m := member{PictureEtcdMember: xray.PictureEtcdMember{Name: hostPort(u), ClientURLs: []string{u}}, unseen: true}
			at := c.nodeAt(hostOf(u))
			switch {
			case isLoopback(hostOf(u)):
				m.id, col.etcd = fmt.Sprintf("etcd-%d", i), &m
			case at >= 0:
				m.id = fmt.Sprintf("etcd-%d", at)
				c.columns[at].etcd = &m
			case !slices.ContainsFunc(c.members, func(o member) bool { return o.Name == m.Name }):
				m.id = fmt.Sprintf("etcd-%d", len(c.columns)+len(c.members))
				c.members = append(c.members, m)
			}
		}
	}
}

// hasEndpoint is so where clients reach the API under an address that is not one
// API server's own.
func (c *cluster) hasEndpoint() bool {
	return len(c.LoadBalancers) > 0 || c.Endpoint != "" && c.nodeAt(hostOf(c.Endpoint)) < 0
}

// hasService is so where anything is known of the kubernetes Service.
func (c *cluster) hasService() bool { return c.ServiceIP != "" || c.ServiceEndpoints != nil }

// hasClients is so where it is known whom they ask, or who they are.
func (c *cluster) hasClients() bool {
	return len(c.workers) > 0 || c.Endpoint != "" || c.hasEndpoint()
}

// nodeAt is the index of the API server that has an address or a name, or -1.
func (c *cluster) nodeAt(host string) int {
	return slices.IndexFunc(c.columns, func(col column) bool {
		if col.api == nil {
			return false
		}
		own := col.api.Advertised == host && host != "" && (len(c.LoadBalancers) == 0 || host != hostOf(c.Endpoint)) && c.advertisedOnce(host)
		return own || slices.Contains(col.api.Addresses, host) || host == col.name || strings.HasPrefix(host, col.name+".")
	})
}

func (c *cluster) advertisedOnce(host string) bool {
	n := 0
	for _, a := range c.APIServers {
		if a.Advertised == host {
			n++
		}
	}
	return n == 1
}

// located is so where the addresses of all API servers are known: only then is an
// address that is nobody's a ghost's.
func (c *cluster) located() bool {
	return !slices.ContainsFunc(c.APIServers, func(a xray.PictureAPIServer) bool { return len(a.Addresses) == 0 })
}
