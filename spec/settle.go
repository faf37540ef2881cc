package spec

import "slices"

// apply makes one step on the layout of the text.
func (e *edit) apply(step func(*layout, int) ([]byte, error), i int) error {
	l, err := readLayout(e.text)
	if err != nil {
		return err
	}
	text, err := step(l, i)
	if err == nil {
		e.text = text
	}
	return err
}

// writeDown has every node that is there named in the file. The load balancer may
// stay left out: it is there all the same.
func (e *edit) writeDown() error {
	l, err := readLayout(e.text)
	if err != nil {
		return err
	}
	if l.list() == nil {
		if entries, err := e.entries(); err != nil || len(entries) > 0 { // an alias, or merged
			return errLayout
		}
		named := slices.DeleteFunc(slices.Clone(e.base.Spec.Nodes), func(n Node) bool { return n.Role == RoleLoadBalancer })
		for i := range named {
			named[i].Address = ""
		}
		e.text, err = l.writeList(named)
		return err
	}
	entries, err := e.entries()
	if err != nil {
		return err
	}
	for i, n := range entries {
		if n.Name == "" {
			if err := e.rename(i, e.base.Spec.Nodes[i].Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// entries are the nodes as the text has them, without defaults.
func (e *edit) entries() ([]Node, error) {
	c, r, errs := decode(e.text, true)
	if len(errs) > 0 {
		return nil, &FileError{Name: "as edited", Problems: errs, lines: r.lines}
	}
	return c.Spec.Nodes, nil
}

func (e *edit) rename(i int, name string) error {
	return e.apply(func(l *layout, i int) ([]byte, error) { return l.set(i, pair{"name", name}) }, i)
}

func (e *edit) place(i int, address string) error {
	return e.apply(func(l *layout, i int) ([]byte, error) { return l.set(i, pair{"address", address}) }, i)
}

// insert writes a node behind the last one of its role, or at the end.
func (e *edit) insert(n Node) error {
	entries, err := e.entries()
	if err != nil {
		return err
	}
	after := len(entries) - 1
	for i, other := range entries {
		if other.Role == n.Role {
			after = i
		}
	}
	return e.apply(func(l *layout, i int) ([]byte, error) { return l.insertAfter(i, n) }, after)
}

// settle writes down addresses, and the load balancers, as long as the text gives
// others than wanted: read as the file of a new cluster, and as that of this one.
func (e *edit) settle() error {
	for range len(e.want.Spec.Nodes) + 2 {
		fresh, err := ParseKept("cluster file", e.text, Known{})
		if err != nil {
			return err
		}
		live, err := ParseKept("cluster file", e.text, e.known)
		if err != nil {
			return err
		}
		if same(fresh, e.want) && same(live, e.want) {
			return nil
		}
		changed, err := e.pin(fresh, live)
		if err != nil {
			return err
		}
		if !changed {
			break
		}
	}
	return errLayout
}

// pin writes down one thing that is read otherwise than wanted, in the order of
// the nodes: the others may follow from it.
func (e *edit) pin(read ...*Cluster) (changed bool, err error) {
	entries, err := e.entries()
	if err != nil {
		return false, err
	}
	for _, n := range e.want.Spec.Nodes {
		if !slices.ContainsFunc(read, func(c *Cluster) bool { return !c.Spec.hasAt(n.Name, n.Address) }) {
			continue
		}
		i := slices.IndexFunc(entries, func(entry Node) bool { return entry.Name == n.Name })
		switch {
		case i >= 0 && !sameAddress(entries[i].Address, n.Address):
			return true, e.place(i, n.Address)
		case i < 0 && n.Role == RoleLoadBalancer:
			return true, e.insert(n)
		}
	}
	address := e.want.Spec.LoadBalancer.Address
	if !slices.ContainsFunc(read, func(c *Cluster) bool { return !sameAddress(c.Spec.LoadBalancer.Address, address) }) {
		return false, nil
	}
	l, err := readLayout(e.text)
	if err != nil {
		return false, err
	}
	text, err := l.setBalancerAddress(address)
	if err == nil {
		e.text = text
	}
	return true, err
}

func (s *Spec) hasAt(name, address string) bool {
	n, ok := s.node(name)
	return ok && sameAddress(n.Address, address)
}
