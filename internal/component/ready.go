package component

import (
	"net/url"
	"slices"
)

// Ready names programs that are not built but taken as they are. Dir and URL
// exclude each other; with neither, everything is built.
type Ready struct {
	// Dir is a folder with all of upstream's programs: Kubernetes' seven (or one
	// kube that is all of them), etcd's, containerd's, runc and the CNI plugins.
	// flanneld, coredns, pause and web are taken from it if they are there. It may
	// have the sub-folders that official archives unpack to; see places.
	Dir string
	// URL has the programs that SHA256 names directly below it, as Kubernetes'
	// releases do: URL/kubelet. The others are built.
	URL    string
	SHA256 map[string]string // hexadecimal, by program
	// KubernetesVersion is what all of Kubernetes' programs must be, built or
	// not: v1.37.2. If empty, ready-made ones must agree.
	KubernetesVersion string
}

// A plan says where each component's programs come from.
type plan struct {
	rows   []row    // all
	build  []row    // those that are not ready-made as a whole
	chosen []choice // in the order of the rows
}

// A choice is a ready-made program and where it is taken from.
type choice struct {
	program
	component string
	path      string   // in a folder
	url       *url.URL // or on a server,
	sum       string   // with this SHA-256
}

func (c choice) where() string {
	if c.url != nil {
		return c.url.Redacted()
	}
	return c.path
}

func (o Options) plan(rows []row) (plan, error) {
	selected, err := selectRows(rows, o.Names)
	if err != nil {
		return plan{}, err
	}
	p := plan{rows: selected}
	switch {
	case o.Ready.Dir != "":
		p.chosen, err = o.Ready.inFolder(selected)
	case o.Ready.URL != "":
		p.chosen, err = o.Ready.onServer(rows, selected)
	}
	for _, r := range selected {
		if !p.has(r.programs) && !p.has(r.separate()) {
			p.build = append(p.build, r)
		}
	}
	return p, err
}

func (p plan) has(programs []program) bool {
	for _, program := range programs {
		if !slices.ContainsFunc(p.chosen, func(c choice) bool { return c.name == program.name }) {
			return false
		}
	}
	return true
}

// separate are the programs as upstream releases them: one for every name, also
// where haplane builds one program that has several.
func (r row) separate() []program {
	var out []program
	for _, p := range r.programs {
		if len(p.links) == 0 {
			out = append(out, p)
		}
		for _, name := range p.links {
			out = append(out, program{name: name, ask: p.askAs(name)})
		}
	}
	return out
}

// askAs is how the program of that name alone is asked for its version.
func (p program) askAs(name string) [][]string {
	var ask [][]string
	for _, args := range p.ask {
		if args[0] == name {
			ask = append(ask, args[1:])
		}
	}
	if ask == nil {
		return askVersion
	}
	return ask
}

// linked reports whether the component is built as one program with several names.
func (r row) linked() bool {
	return slices.ContainsFunc(r.programs, func(p program) bool { return len(p.links) > 0 })
}

func names(programs []program) []string {
	var out []string
	for _, p := range programs {
		out = append(out, p.name)
	}
	return out
}
