package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/haplane/haplane/internal/cluster"
)

// JSON writes a value as indented JSON.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Status writes a cluster's status as tables.
func Status(w io.Writer, s *cluster.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "CLUSTER\t%s\nIDENTITY\t%s\nENDPOINT\t%s\t%s\n", s.Cluster, s.Identity, s.Endpoint, word(s.EndpointReady, "ready", "not ready"))
	if s.Kubernetes != "" {
		fmt.Fprintf(t, "KUBERNETES\t%s\n", s.Kubernetes)
	}
	fmt.Fprintf(t, "KUBERNETES SERVICE\t%s\n", cmp.Or(strings.Join(s.KubernetesServiceEndpoints, ", "), "no endpoints"))
	for _, name := range slices.Sorted(maps.Keys(s.Leaders)) {
		fmt.Fprintf(t, "LEADER\t%s\t%s\n", name, cmp.Or(s.Leaders[name], "nobody"))
	}
	fmt.Fprintln(t, "\nNODE\tROLE\tADDRESS\tREADY\tAPI SERVER\tETCD\tLOAD BALANCER")
	for _, n := range s.Nodes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Role, n.Address, word(n.Ready, "yes", "no"),
			apiServer(s, n.Name), member(s, n.Name), backend(s, n.Name))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if s.Change != nil {
		fmt.Fprintln(w, "\n"+underway(s.Change))
	}
	if s.Rotation != nil {
		fmt.Fprintln(w, "\n"+s.Rotation.String())
	}
	if s.Lock != nil && !s.Lock.Own {
		fmt.Fprintln(w, "\n"+others(s.Lock))
	}
	for _, line := range reasons(s) {
		fmt.Fprintln(w, line)
	}
	return nil
}

// CutOff warns of a change that was cut off, in two lines; of one that is under way its own
// haplane tells.
func CutOff(w io.Writer, c *cluster.ChangeStatus) {
	if c != nil && !c.Running {
		fmt.Fprintln(w, "warning:", underway(c))
	}
}

// underway tells of a change that has not ended, and how to go on.
func underway(c *cluster.ChangeStatus) string {
	text := fmt.Sprintf("%s, begun %s by %s", c.Command, c.Started.Format("2006-01-02 15:04:05 MST"), c.Holder)
	if c.Last != "" {
		text += fmt.Sprintf(": %d steps done, the last begun is %s", c.Steps, c.Last)
	}
	if c.Running {
		return "a change is under way: " + text
	}
	if c.Error != "" {
		text += "\n  it stopped: " + c.Error
	}
	if c.BringUp {
		return "bringing it up was cut off: " + text + "\n  haplane up finishes it"
	}
	if c.Upgrade != "" {
		return "an upgrade from " + c.Upgrade + " was cut off: " + text + "\n  haplane upgrade --resume goes on with it, haplane upgrade --back goes back"
	}
	return "a change was cut off: " + text + "\n  haplane apply goes on with it, haplane apply --abort goes back"
}

// others tells of an operator who changes the cluster from elsewhere, or was cut off at it.
func others(l *cluster.LockStatus) string {
	text := fmt.Sprintf("%s, begun %s by %s, last heard of %d s ago on %s", l.Command, l.Since.UTC().Format("2006-01-02 15:04:05 MST"),
		l.Holder, l.HeartbeatSeconds, strings.Join(l.On, ", "))
	if l.Expired {
		return "a change from elsewhere was cut off: " + text + "\n  whoever changes the cluster next takes its lock; what it left half done is in the record of the haplane that began it"
	}
	return "a change from elsewhere is under way: " + text
}

func word(yes bool, ifYes, ifNo string) string {
	if yes {
		return ifYes
	}
	return ifNo
}

func apiServer(s *cluster.Status, node string) string {
	for _, a := range s.APIServers {
		if a.Node == node {
			return word(a.Ready, "ready", "not ready")
		}
	}
	return "-"
}

func member(s *cluster.Status, node string) string {
	for _, m := range s.Etcd.Members {
		if m.Name == node {
			text := word(m.Healthy, "healthy", "unhealthy")
			if m.Leader {
				text += ", leader"
			}
			if m.Learner {
				text += ", learner"
			}
			return text
		}
	}
	return "-"
}

// backend is what the load balancers think of a node's API server and, of one of several load balancers, whether
// it has the address that clients use: a control-plane node can be both. Of a worker with one of its own it is that.
func backend(s *cluster.Status, node string) string {
	var out []string
	if state := standing(s, node); state != "" {
		out = append(out, state)
	}
	several := len(ofAll(s)) > 1
	for _, lb := range s.LoadBalancers {
		switch {
		case lb.Node != node:
		case lb.Local:
			out = append(out, own(lb))
		case several && (lb.Error == "" || lb.HoldsAddress):
			out = append(out, word(lb.HoldsAddress, "has the address", "stands by"))
		}
	}
	return cmp.Or(strings.Join(out, ", "), "-")
}

// ofAll are the load balancers that all clients reach.
func ofAll(s *cluster.Status) []cluster.LBStatus {
	return slices.DeleteFunc(slices.Clone(s.LoadBalancers), func(lb cluster.LBStatus) bool { return lb.Local })
}

// own is what a worker's own load balancer thinks of the API servers.
func own(lb cluster.LBStatus) string {
	if lb.Error != "" {
		return "its own: not seen"
	}
	up := 0
	for _, b := range lb.Backends {
		if b.Up {
			up++
		}
	}
	return fmt.Sprintf("its own: %d of %d up", up, len(lb.Backends))
}

// standing is what the load balancers that all clients reach think of a node's API server; "" where it has none. One that does not answer thinks nothing,
// unless it is the only one.
func standing(s *cluster.Status, node string) string {
	up, asked, lbs := 0, 0, ofAll(s)
	for _, lb := range lbs {
		silent := lb.Error != "" && !slices.ContainsFunc(lb.Backends, func(b cluster.BackendStatus) bool { return b.Up })
		if silent && len(lbs) > 1 {
			continue
		}
		for _, b := range lb.Backends {
			if b.Node == node {
				if asked++; b.Up {
					up++
				}
			}
		}
	}
	switch {
	case asked == 0:
		return ""
	case up > 0 && up < asked:
		return fmt.Sprintf("up on %d of %d", up, asked)
	}
	return word(up > 0, "up", "down")
}

// reasons tells of everything that is not as it should be.
func reasons(s *cluster.Status) []string {
	var out []string
	for _, n := range s.Nodes {
		if n.Reason != "" {
			out = append(out, fmt.Sprintf("node %s: %s", n.Name, n.Reason))
		}
	}
	for _, a := range s.APIServers {
		if a.Error != "" {
			out = append(out, fmt.Sprintf("API server of %s: %s", a.Node, a.Error))
		}
	}
	for _, m := range s.Etcd.Members {
		if m.Error != "" {
			out = append(out, fmt.Sprintf("etcd member %s: %s", m.Name, m.Error))
		}
	}
	for _, e := range s.Errors {
		out = append(out, "could not look: "+e)
	}
	for _, warning := range s.Warnings {
		out = append(out, "warning: "+warning)
	}
	if len(out) > 0 {
		out = append([]string{""}, out...)
	}
	return out
}
