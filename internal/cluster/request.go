package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// A NodeNameError says what is wrong with the names of nodes that were given.
type NodeNameError struct{ Err error }

func (e *NodeNameError) Error() string { return e.Err.Error() }
func (e *NodeNameError) Unwrap() error { return e.Err }

// Known is what the cluster of a name has, nodes that leave among them: a file
// that names them means them. Of a cluster that does not exist there is nothing.
func Known(name string) (spec.Known, error) {
	s, err := store.Open(name)
	if err != nil {
		return spec.Known{}, err
	}
	r, err := s.Record()
	if errors.Is(err, store.ErrNoCluster) {
		return spec.Known{}, nil
	}
	if err != nil {
		return spec.Known{}, err
	}
	return known(r), nil
}

func known(r *store.Record) spec.Known {
	var stay, leave []spec.Node
	for _, n := range r.Nodes {
		one := spec.Node{Name: n.Name, Role: n.Role, Address: n.Address}
		if n.State == store.Leaving && !n.Rejoin {
			leave = append(leave, one)
		} else {
			stay = append(stay, one)
		}
	}
	out := spec.Known{Nodes: slices.Concat(stay, leave)} // entries without a name take them in this order
	if c := cmp.Or(r.Wanted, r.Applied); c != nil {
		out.Address = c.Spec.LoadBalancer.Address
	}
	return out
}

// Request is what the cluster's own file asks for, or a change that was cut off.
func (h *Handle) Request() Request { return Request{Wanted: h.env.cluster, Serial: h.serial} }

// ofNodes is that for a command about nodes.
func (h *Handle) ofNodes() Request {
	q := h.Request()
	q.About = aboutNodes
	return q
}

// edited is the request of the cluster's file after an edit of its text.
func (h *Handle) edited(edit func(text []byte) ([]byte, error)) (Request, error) {
	record, err := h.env.Store.Record()
	if err != nil {
		return Request{}, err
	}
	text, err := h.env.Store.ClusterText()
	if err != nil {
		return Request{}, err
	}
	if c := record.Change; c != nil && c.TextAfter != nil {
		text = c.TextAfter // it may have been cut off before that was in the file
	}
	if text, err = edit(text); err != nil {
		return Request{}, &NodeNameError{err}
	}
	c, err := spec.ParseKept("the cluster file", text, known(record))
	if err != nil {
		return Request{}, err
	}
	return Request{Wanted: c, Text: text, Serial: h.serial}, nil
}

// withNodes is that of an edit of its nodes.
func (h *Handle) withNodes(edit func(text []byte) ([]byte, error)) (Request, error) {
	q, err := h.edited(edit)
	q.About = aboutNodes
	return q, err
}

// AddNodes asks for further nodes of a role; without names for one, with a name by
// default. Those that join already are finished.
func (h *Handle) AddNodes(role spec.Role, names []string) (Request, error) {
	record, err := h.env.Store.Record()
	if err != nil {
		return Request{}, err
	}
	switch added := h.added(record, role); {
	case len(names) == 0 && len(added) > 0:
		return h.ofNodes(), nil // cut off; go on
	case len(names) == 0:
		names = []string{h.nextName(role, known(record))}
	default:
		if names = without(names, func(name string) bool { return slices.Contains(added, name) }); len(names) == 0 {
			return h.ofNodes(), nil
		}
	}
	return h.withNodes(func(text []byte) ([]byte, error) {
		var nodes []spec.Node
		for _, name := range names {
			nodes = append(nodes, spec.Node{Name: name, Role: role})
		}
		return spec.AddNodes(text, nodes, h.env.cluster)
	})
}

// added are the nodes of a role that a change which was cut off adds, whatever it has done of that.
func (h *Handle) added(r *store.Record, role spec.Role) []string {
	if r.Change == nil || r.Applied == nil {
		return nil
	}
	var out []string
	for _, n := range h.env.cluster.Spec.Nodes {
		if n.Role == role && !slices.Contains(nodeNames(r.Applied), n.Name) {
			out = append(out, n.Name)
		}
	}
	return out
}

// removed reports whether a change that was cut off removes a node, also where the node is gone.
func (h *Handle) removed(r *store.Record, name string) bool {
	return r.Change != nil && r.Applied != nil && slices.Contains(nodeNames(r.Applied), name) && !slices.Contains(h.wantedNames(), name)
}

// nextName is the name that a further node of a role has by default.
func (h *Handle) nextName(role spec.Role, known spec.Known) string {
	c := *h.env.cluster
	c.Spec.Nodes = append(slices.Clone(c.Spec.Nodes), spec.Node{Role: role})
	spec.SetDefaultsFor(&c, known)
	return c.Spec.Nodes[len(c.Spec.Nodes)-1].Name
}

// without leaves out those names of which a change that was cut off has the same to say.
func without(names []string, is func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), is)
}

// minus are the names that are not among others.
func minus(names, others []string) []string {
	return without(names, func(name string) bool { return slices.Contains(others, name) })
}

// plus are the names, and those of more that are not among them.
func plus(names, more []string) []string { return append(slices.Clone(names), minus(more, names)...) }

// RemoveNodes asks for the cluster without some nodes. Those that leave already are finished.
func (h *Handle) RemoveNodes(names []string) (Request, error) {
	record, err := h.env.Store.Record()
	if err != nil {
		return Request{}, err
	}
	if names = without(names, func(name string) bool { return h.removed(record, name) }); len(names) == 0 {
		return h.ofNodes(), nil
	}
	return h.withNodes(func(text []byte) ([]byte, error) { return spec.RemoveNodes(text, names, h.env.cluster) })
}

func (h *Handle) wantedNames() []string { return nodeNames(h.env.cluster) }

func nodeNames(c *spec.Cluster) []string {
	var out []string
	for _, n := range c.Spec.Nodes {
		out = append(out, n.Name)
	}
	return out
}

// ReplaceNode asks for a node to be made anew under its name and address.
func (h *Handle) ReplaceNode(name string) (Request, error) {
	if !slices.Contains(h.wantedNames(), name) {
		return Request{}, &NodeNameError{fmt.Errorf("cluster %s has no node %q; it has %s", h.env.topology.Name, name, strings.Join(h.wantedNames(), ", "))}
	}
	q := h.ofNodes()
	record, err := h.env.Store.Record()
	if err != nil {
		return q, err
	}
	n := record.Node(name)
	if n == nil || n.State != store.Active {
		return q, nil // it joins still: what of that is lost is made anew
	}
	if c := record.Change; c != nil && slices.Contains(c.Replace, name) && aboutOf(record) == aboutNodes {
		made, err := h.env.power()
		if _, there := made[name]; err != nil || there || len(made) == 0 {
			return q, err // cut off; go on
		}
	} // else its new machine was lost as well
	q.Replace = []string{name}
	return q, nil
}

// ReplaceNodes asks for nodes to be made anew under their names and addresses.
func (h *Handle) ReplaceNodes(names []string) (Request, error) {
	all := h.ofNodes()
	for _, name := range names {
		q, err := h.ReplaceNode(name)
		if err != nil {
			return q, err
		}
		if slices.Contains(all.Replace, name) {
			return q, &NodeNameError{fmt.Errorf("node %q is named twice", name)}
		}
		all.Replace = append(all.Replace, q.Replace...)
	}
	return all, nil
}

// ReplaceNodeWith asks for a new node in the place of one; the new one joins before the
// old one leaves. Without a name it has one by default.
func (h *Handle) ReplaceNodeWith(name, with string) (Request, error) {
	i := slices.IndexFunc(h.env.cluster.Spec.Nodes, func(n spec.Node) bool { return n.Name == name })
	record, err := h.env.Store.Record()
	if err != nil {
		return Request{}, err
	}
	if i < 0 && h.removed(record, name) {
		return h.ofNodes(), h.joinsFor(record, name, with) // cut off; go on
	}
	if i < 0 {
		return Request{}, &NodeNameError{fmt.Errorf("cluster %s has no node %q; it has %s", h.env.topology.Name, name, strings.Join(h.wantedNames(), ", "))}
	}
	old := h.env.cluster.Spec.Nodes[i]
	if old.Role == spec.RoleLoadBalancer {
		return Request{}, &NodeNameError{fmt.Errorf("%s has the address that clients use, which a new node beside it cannot have; haplane node replace %s makes it anew", name, name)}
	}
	if with == "" {
		with = h.nextName(old.Role, known(record))
	}
	return h.withNodes(func(text []byte) ([]byte, error) {
		return spec.ReplaceNode(text, old, spec.Node{Name: with, Role: old.Role}, h.env.cluster)
	})
}

// joinsFor is an error where the change that was cut off has another node, or none, in the
// place of one.
func (h *Handle) joinsFor(r *store.Record, name, with string) error {
	i := slices.IndexFunc(r.Applied.Spec.Nodes, func(n spec.Node) bool { return n.Name == name })
	joins := h.added(r, r.Applied.Spec.Nodes[i].Role)
	if len(joins) > 0 && (with == "" || slices.Contains(joins, with)) {
		return nil
	}
	return &NodeNameError{fmt.Errorf("%s leaves already, by a change that was cut off (%s), and %s joins in its place; haplane apply goes on with that, haplane apply --abort goes back",
		name, r.Change.Command, cmp.Or(strings.Join(joins, ", "), "nobody"))}
}

// AbortRequest goes back to what the cluster was before the change that was cut off.
func AbortRequest(name string) (Request, error) {
	h, err := Open(name)
	if err != nil {
		return Request{}, err
	}
	record, err := h.env.Store.Record()
	if err != nil {
		return Request{}, err
	}
	if r := record.Rotation; record.Change == nil || r != nil && !r.Proved { // else the change is another one
		if err := abortable(r); err != nil {
			return Request{}, err
		}
	}
	if record.Change == nil && record.Rotation == nil || record.Applied == nil {
		return Request{}, withHint(errors.New("no change was cut off: there is nothing to go back from"), "haplane status --cluster "+name)
	}
	if c := record.Change; c != nil && h.issued(c.Renew) {
		return Request{}, withHint(errIssued, "haplane apply --cluster "+name+" goes on")
	}
	if c := record.Change; c != nil && c.Upgrade != nil {
		u := c.Upgrade
		return Request{}, withHint(fmt.Errorf("an upgrade from %s to %s was cut off, and machines may have either version", u.From, u.To), (&Upgrade{From: u.From, Down: u.Down}).wayOn(record.Applied))
	}
	q := Request{Wanted: record.Applied, Abort: true, Serial: h.serial}
	if record.Change != nil && record.Change.TextBefore != nil {
		q.Text = record.Change.TextBefore
	}
	return q, nil
}
