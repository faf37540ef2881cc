package spec

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// setValue writes a scalar in place of another, or of none.
func (l *layout) setValue(key, value *yaml.Node, text string) ([]byte, error) {
	if value.Kind == yaml.ScalarNode && value.Value == "" && value.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
		_, end, err := l.span(key)
		if err != nil {
			return nil, err
		}
		colon := bytes.IndexByte(l.text[end:], ':')
		if colon < 0 {
			return nil, errLayout
		}
		return l.with(end+colon+1, end+colon+1, " "+text), nil
	}
	start, end, err := l.span(value)
	if err != nil {
		return nil, err
	}
	return l.with(start, end, text), nil
}

// addToFlow writes a field behind the last of a flow mapping.
func (l *layout) addToFlow(m *yaml.Node, text string) ([]byte, error) {
	end, last := flowEnd(l.text, l.offset(m))
	switch {
	case end == 0:
		return nil, errLayout
	case l.text[last-1] == ',':
		text = " " + text
	case len(m.Content) > 0:
		text = ", " + text
	}
	return l.with(last, last, text), nil
}

// writeList writes spec.nodes where the file leaves it out, or has it empty.
func (l *layout) writeList(nodes []Node) ([]byte, error) {
	specKey, spec := l.spec()
	nodesKey, list := find(spec, "nodes")
	json := asJSON(l.root)
	switch {
	case list != nil && inFlow(spec):
		return l.setValue(nodesKey, list, flowList(nodes, json))
	case list != nil:
		return l.linesUnder(nodesKey, list, listLines(nodesKey.Column-1, nodes))
	case spec != nil && spec.Kind == yaml.MappingNode && inFlow(spec):
		return l.addToFlow(spec, quotedKey("nodes", json)+flowList(nodes, json))
	case spec != nil && spec.Kind == yaml.MappingNode:
		indent := spec.Column - 1
		lines := append([]string{strings.Repeat(" ", indent) + "nodes:"}, listLines(indent, nodes)...)
		return l.withLines(l.blockEnd(lineStart(l.text, l.offset(spec)), indent), lines...), nil
	case spec != nil && inFlow(l.root):
		return l.setValue(specKey, spec, "{"+quotedKey("nodes", json)+flowList(nodes, json)+"}")
	case spec != nil:
		return l.linesUnder(specKey, spec, append([]string{"  nodes:"}, listLines(2, nodes)...))
	case inFlow(l.root):
		return l.addToFlow(l.root, quotedKey("spec", json)+"{"+quotedKey("nodes", json)+flowList(nodes, json)+"}")
	}
	lines := append([]string{"spec:", "  nodes:"}, listLines(2, nodes)...)
	return l.withLines(l.blockEnd(lineStart(l.text, l.offset(l.root)), 0), lines...), nil
}

// setBalancerAddress writes spec.loadBalancer.address, in a file that has spec.nodes.
func (l *layout) setBalancerAddress(address string) ([]byte, error) {
	_, spec := l.spec()
	p := pair{"address", address}
	key, balancer := find(spec, "loadBalancer")
	switch {
	case spec == nil || spec.Kind != yaml.MappingNode || balancer != nil && balancer.Kind != yaml.MappingNode && balancer.Value != "":
		return nil, errLayout
	case key == nil && inFlow(spec):
		return l.addToFlow(spec, quotedKey("loadBalancer", asJSON(spec))+"{"+p.text(asJSON(spec))+"}")
	case key == nil:
		nodes, _ := find(spec, "nodes")
		return l.withLines(lineStart(l.text, l.offset(nodes)), strings.Repeat(" ", spec.Column-1)+"loadBalancer: {"+p.text(false)+"}"), nil
	case balancer.Kind != yaml.MappingNode:
		return l.setValue(key, balancer, "{"+p.text(asJSON(spec))+"}")
	}
	if key, value := find(balancer, p.key); key != nil {
		return l.setValue(key, value, p.written(asJSON(balancer)))
	}
	if inFlow(balancer) {
		return l.addToFlow(balancer, p.text(asJSON(balancer)))
	}
	start := l.offset(balancer)
	return l.withLines(lineStart(l.text, start), strings.Repeat(" ", balancer.Column-1)+p.text(false)), nil
}

// linesUnder takes an empty value out and writes lines below its key.
func (l *layout) linesUnder(key, value *yaml.Node, lines []string) ([]byte, error) {
	if value.Kind == yaml.AliasNode || value.Anchor != "" {
		return nil, errLayout
	}
	_, end, err := l.span(key)
	if err != nil {
		return nil, err
	}
	if empty := value.Kind == yaml.ScalarNode && value.Value == ""; !empty {
		if _, end, err = l.span(value); err != nil {
			return nil, err
		}
	}
	at := min(lineEnd(l.text, end)+1, len(l.text))
	out := l.withLines(at, lines...)
	if value.Value == "" && value.Kind == yaml.ScalarNode {
		return out, nil
	}
	start := l.offset(value)
	for start > 0 && out[start-1] == ' ' {
		start--
	}
	return slices.Delete(out, start, end), nil
}

func quotedKey(key string, asJSON bool) string {
	if asJSON {
		return strconv.Quote(key) + ": "
	}
	return key + ": "
}

func listLines(indent int, nodes []Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, strings.Repeat(" ", indent)+"- "+flowEntry(n, false))
	}
	return out
}
