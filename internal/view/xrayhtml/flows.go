package xrayhtml

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

// A flow is requests from one part to others.
type flow struct {
	kind string // client, pods, etcd
	from string
	to   []target
}

type target struct{ id, state string }

// States of a target: presumed is what nobody looked into.
const (
	down     = "down"
	presumed = "presumed"
)

func (f *flow) add(id, state string) {
	if !slices.ContainsFunc(f.to, func(t target) bool { return t.id == id }) {
		f.to = append(f.to, target{id, state})
	}
}

// clientFlows are those of kubelets and users: to the endpoint, and of nodes that
// go round it, to whom they go.
func (c *cluster) clientFlows() []flow {
	f := flow{kind: "client", from: "clients"}
	if c.hasEndpoint() {
		f.add("endpoint", "")
	} else if i := c.nodeAt(hostOf(c.Endpoint)); i >= 0 {
		f.add(c.columns[i].id, "")
	}
	for _, n := range c.workers {
		if i := c.nodeAt(hostOf(n.Server)); i >= 0 && !c.usesEndpoint(n.Server) {
			f.add(c.columns[i].id, "")
		}
	}
	return []flow{f}
}

func (c *cluster) usesEndpoint(server string) bool { return xray.HostPort(server) == c.Endpoint }

// balancedFlows are those from load balancers to API servers. Load balancers that
// do the same share one.
func (c *cluster) balancedFlows() []flow {
	if len(c.LoadBalancers) == 0 && c.hasEndpoint() {
		f := flow{kind: "client", from: "endpoint"}
		c.presume(&f)
		return []flow{f}
	}
	alike := !slices.ContainsFunc(c.LoadBalancers, func(lb xray.PictureLoadBalancer) bool {
		return !sameSet(lb.Backends, c.LoadBalancers[0].Backends) || !sameSet(lb.Down, c.LoadBalancers[0].Down)
	})
	var out []flow
	for i, lb := range c.LoadBalancers {
		f := flow{kind: "client", from: "endpoint"}
		if !alike {
			f.from = fmt.Sprintf("lb-%d", i)
		}
		if i == 0 || !alike {
			out = append(out, c.balance(f, lb))
		}
	}
	return out
}

func (c *cluster) balance(f flow, lb xray.PictureLoadBalancer) flow {
	known := true
	for _, b := range lb.Backends {
		state := ""
		if slices.Contains(lb.Down, b) {
			state = down
		}
		switch i := c.nodeAt(hostOf(b)); {
		case i >= 0:
			f.add(c.columns[i].id, state)
		case c.located():
			f.add(c.ghost(b, "backend"), state)
		default:
			known = false
		}
	}
	if !known {
		c.presume(&f)
	}
	return f
}

// presume draws what is likely, though nothing that was seen tells: to all API
// servers that it does not have yet.
func (c *cluster) presume(f *flow) {
	for _, col := range c.columns {
		if col.api != nil {
			f.add(col.id, presumed)
		}
	}
}

// serviceFlows are where requests through the kubernetes Service go.
func (c *cluster) serviceFlows() []flow {
	if !c.hasService() {
		return nil
	}
	f, known := flow{kind: "pods", from: "service"}, true
	for _, e := range c.ServiceEndpoints {
		switch i := c.nodeAt(e); {
		case c.hasEndpoint() && e == hostOf(c.Endpoint):
			f.add("endpoint", "")
		case i >= 0:
			f.add(c.columns[i].id, "")
		case c.located():
			f.add(c.ghost(e, "endpoint of the Service"), "")
		default:
			known = false
		}
	}
	if !known {
		c.presume(&f)
	}
	flows := []flow{f}
	if c.hasClients() {
		flows = append(flows, flow{kind: "pods", from: "clients", to: []target{{id: "service"}}})
	}
	return flows
}

// etcdFlows are from API servers to members on other machines. Those to the same
// members share one.
func (c *cluster) etcdFlows() []flow {
	var out []flow
	for _, col := range c.columns {
		if col.api == nil {
			continue
		}
		f := flow{kind: "etcd", from: col.id}
		for _, m := range c.members {
			if slices.ContainsFunc(col.api.EtcdServers, func(u string) bool { return m.at(u) }) {
				f.add(m.id, "")
			}
		}
		if len(f.to) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// at reports whether a client URL is the member's.
func (m member) at(url string) bool {
	return slices.ContainsFunc(m.ClientURLs, func(u string) bool { return hostPort(u) == hostPort(url) }) ||
		hostOf(url) == m.Name || hostOf(url) == m.Node
}

// hostPort is what is left of a URL without scheme and path.
func hostPort(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	url, _, _ = strings.Cut(url, "/")
	return url
}

// hostOf is the host of a URL, of host:port or of nothing but a host.
func hostOf(text string) string {
	text = hostPort(text)
	if _, err := netip.ParseAddr(text); err == nil {
		return text
	}
	if i := strings.LastIndex(text, ":"); i >= 0 {
		text = text[:i]
	}
	return strings.Trim(text, "[]")
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
