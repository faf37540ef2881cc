package spec

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// AddNodes writes nodes into the text of a cluster file, each behind the last one
// of its role. Nodes without an address get the first that is free.
//
// It and the other edits keep the rest of the text as it is, comments and all.
// They write down the names that the file left to defaults, and addresses where
// the file as it then is would give another, so that no node that stays changes
// either. Resolved is the cluster as the file was read, with its names and
// addresses; nil reads the file as that of a new one.
func AddNodes(data []byte, nodes []Node, resolved *Cluster) ([]byte, error) {
	e, err := newEdit(data, resolved)
	if err != nil {
		return nil, err
	}
	if err := e.checkNew(nodes); err != nil {
		return nil, err
	}
	e.want.Spec.Nodes = append(e.want.Spec.Nodes, nodes...)
	e.free()
	return e.run(func() error {
		for _, n := range nodes {
			if err := e.insert(n); err != nil {
				return err
			}
		}
		return e.placeShared()
	})
}

// RemoveNodes takes nodes out of the text of a cluster file. Names that no node
// has or that come twice, all of them, and nodes that cannot be missed are errors.
func RemoveNodes(data []byte, names []string, resolved *Cluster) ([]byte, error) {
	e, err := newEdit(data, resolved)
	if err != nil {
		return nil, err
	}
	if err := CheckRemoval(e.base, names); err != nil {
		return nil, err
	}
	e.want.Spec.Nodes = slices.DeleteFunc(e.want.Spec.Nodes, func(n Node) bool { return slices.Contains(names, n.Name) })
	return e.run(func() error {
		for i, n := range slices.Backward(e.base.Spec.Nodes) {
			if slices.Contains(names, n.Name) {
				if err := e.apply((*layout).remove, i); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// ReplaceNode writes one node in place of another, in the same entry and role. Under
// the same name nothing changes.
func ReplaceNode(data []byte, old, new Node, resolved *Cluster) ([]byte, error) {
	e, err := newEdit(data, resolved)
	if err != nil {
		return nil, err
	}
	setDefault(&new.Name, old.Name)
	if err := checkNames(&e.base.Spec, []string{old.Name}); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(e.base.Spec.Nodes, func(n Node) bool { return n.Name == old.Name })
	old = e.base.Spec.Nodes[i]
	setDefault(&new.Role, old.Role)
	if new.Name == old.Name {
		setDefault(&new.Address, old.Address)
	} else if err := e.checkNew([]Node{new}); err != nil {
		return nil, err
	}
	if new.Role != old.Role {
		return nil, fmt.Errorf("replace %s, a %s node, with %s, a %s node: a replacement has the same role", old.Name, old.Role, new.Name, new.Role)
	}
	e.want.Spec.Nodes[i] = new
	if new == old {
		return data, nil
	}
	return e.run(func() error {
		entries, err := e.entries()
		if err != nil {
			return err
		}
		if err := e.rename(i, new.Name); err != nil || entries[i].Address == "" {
			return err
		}
		return e.place(i, e.want.Spec.Nodes[i].Address)
	})
}

// An edit takes a text step by step to one that says what is wanted.
type edit struct {
	text       []byte
	base, want *Cluster
	known      Known
}

func newEdit(data []byte, resolved *Cluster) (*edit, error) {
	e := &edit{text: data}
	if resolved != nil {
		e.known = knownOf(resolved)
	}
	base, err := ParseKept("cluster file", data, e.known)
	if err != nil {
		return nil, err
	}
	e.base = base
	e.known = Known{base.Spec.withNodes(e.known.Nodes), cmp.Or(e.known.Address, base.Spec.LoadBalancer.Address)}
	e.want = new(*base)
	e.want.Spec.Nodes = slices.Clone(base.Spec.Nodes)
	return e, nil
}

func knownOf(c *Cluster) Known { return Known{c.Spec.Nodes, c.Spec.LoadBalancer.Address} }

// withNodes returns the nodes of the file and those of others that it does not name.
func (s *Spec) withNodes(others []Node) []Node {
	out := slices.Clone(s.Nodes)
	for _, n := range others {
		if !s.has(n.Name) {
			out = append(out, n)
		}
	}
	return out
}

// free has a load balancer give its address to all of them, where they become several.
func (e *edit) free() {
	s := &e.want.Spec
	if len(s.nodesOf(RoleLoadBalancer)) == 1 {
		return
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Role == RoleLoadBalancer && sameAddress(n.Address, s.LoadBalancer.Address) {
			n.Address = ""
		}
	}
}

// placeShared writes another address for load balancers whose own, as it is written, has become that of all of them.
func (e *edit) placeShared() error {
	entries, err := e.entries()
	if err != nil || len(e.want.Spec.nodesOf(RoleLoadBalancer)) == 1 {
		return err
	}
	for _, n := range e.want.Spec.nodesOf(RoleLoadBalancer) { // one that the text leaves out is one of them
		if !slices.ContainsFunc(entries, func(o Node) bool { return o.Name == n.Name }) {
			if err := e.insert(n); err != nil {
				return err
			}
		}
	}
	if entries, err = e.entries(); err != nil {
		return err
	}
	for i, n := range entries {
		now, ok := e.want.Spec.node(n.Name)
		if n.Role != RoleLoadBalancer || !ok || n.Address == "" || !sameAddress(n.Address, e.want.Spec.LoadBalancer.Address) {
			continue
		}
		if err := e.place(i, now.Address); err != nil {
			return err
		}
	}
	return nil
}

func (e *edit) checkNew(nodes []Node) error {
	var errs []error
	for i, n := range nodes {
		before := func(other Node) bool { return other.Name == n.Name }
		switch {
		case n.Name == "":
			errs = append(errs, fmt.Errorf("add a %s node: it has no name", n.Role))
		case slices.ContainsFunc(nodes[:i], before):
			errs = append(errs, fmt.Errorf("node %s is named more than once", n.Name))
		case slices.ContainsFunc(e.known.Nodes, before):
			errs = append(errs, fmt.Errorf("there is a node %s already", n.Name))
		}
	}
	return errors.Join(errs...)
}

// run writes down who there is, makes the change and settles what follows from it.
func (e *edit) run(change func() error) ([]byte, error) {
	SetDefaultsFor(e.want, e.known)
	if err := onlyLive(diffNodes(&e.base.Spec, &e.want.Spec)); err != nil {
		return nil, err
	}
	if errs := append(Validate(e.want), checkKnown(field.NewPath("spec"), &e.want.Spec, e.known)...); len(errs) > 0 {
		return nil, &FileError{Name: "cluster file", Problems: errs}
	}
	for _, step := range []func() error{e.writeDown, change, e.settle} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("edit the cluster file: %w", err)
		}
	}
	return e.text, nil
}

func same(a, b *Cluster) bool {
	x, y := *a, *b
	x.Spec.Nodes, y.Spec.Nodes = nil, nil
	if !reflect.DeepEqual(x, y) || len(a.Spec.Nodes) != len(b.Spec.Nodes) {
		return false
	}
	for _, n := range a.Spec.Nodes {
		if m, ok := b.Spec.node(n.Name); !ok || m.Role != n.Role || !sameAddress(m.Address, n.Address) {
			return false
		}
	}
	return true
}
