package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var begins = fmt.Sprintf("a cluster file starts with `apiVersion: %s` and `kind: %s`", APIVersion, Kind)

// decode reads the document of a file, as far as it can be: the cluster has what could
// be taken, the reading what somebody wrote. The cluster is nil where nothing could be.
func decode(data []byte, kept bool) (*Cluster, *reading, field.ErrorList) {
	d := &decoder{reading: reading{map[string]int{}, map[string]bool{}}, kept: kept}
	if problem := noText(data); problem != "" {
		d.wholly("%s", problem)
		return nil, &d.reading, d.errs
	}
	docs, err := documents(data)
	if err != nil && (!kept || len(docs) == 0) {
		d.wholly("not valid YAML: %s", syntax(err, data))
		return nil, &d.reading, d.errs
	}
	if len(docs) == 0 {
		d.wholly("is empty; %s", begins)
		return nil, &d.reading, d.errs
	}
	root := docs[0]
	if !kept {
		root = d.only(docs)
	}
	switch {
	case root.Kind != yaml.MappingNode:
		d.wholly("is not a mapping; %s", begins)
	case foreign(root):
		d.wholly("is %s, no cluster file of haplane; %s", titled(root), begins)
	case !ours(root):
		d.wholly("has none of the fields of a cluster file; %s", begins)
	default:
		c := &Cluster{}
		d.fields(root, reflect.ValueOf(c).Elem(), reflect.ValueOf(Default(DefaultName)).Elem(), nil)
		return c, &d.reading, d.errs
	}
	return nil, &d.reading, d.errs
}

// wholly adds a problem of the file, not of a field.
func (d *decoder) wholly(format string, args ...any) {
	d.errs = append(d.errs, &field.Error{Type: field.ErrorTypeInvalid, Detail: fmt.Sprintf(format, args...)})
}

// documents are those of a YAML stream that have content.
func documents(data []byte) ([]*yaml.Node, error) {
	var out []*yaml.Node
	for stream := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := stream.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return out, err
		case len(doc.Content) > 0 && !null(target(doc.Content[0])):
			out = append(out, target(doc.Content[0]))
		}
	}
}

// only is the document that is haplane's. All others are problems: nobody would read them.
func (d *decoder) only(docs []*yaml.Node) *yaml.Node {
	root := docs[0]
	for _, doc := range docs {
		if doc.Kind == yaml.MappingNode && !foreign(doc) {
			root = doc
			break
		}
	}
	for _, doc := range docs {
		if doc != root {
			d.wholly("has a further document, %s, that would not be read: a cluster file has one; write it to a file of its own (line %d)", titled(doc), doc.Line)
		}
	}
	return root
}

// foreign reports whether a document says that it is something else's.
func foreign(doc *yaml.Node) bool {
	version, kind := text(doc, "apiVersion"), text(doc, "kind")
	group, _, grouped := strings.Cut(version, "/")
	return version != "" && group != "haplane" && (grouped || kind != "" && kind != Kind)
}

// ours reports whether a document has a field that a cluster file has.
func ours(doc *yaml.Node) bool {
	names := fieldsOf(reflect.TypeFor[Cluster]())
	return slices.ContainsFunc(doc.Content, func(n *yaml.Node) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, n.Value) })
	})
}

// titled is what a document says that it is.
func titled(doc *yaml.Node) string {
	title := strings.TrimSpace(text(doc, "apiVersion") + " " + text(doc, "kind"))
	if title == "" {
		return "which says not of what kind it is"
	}
	return title
}

func text(doc *yaml.Node, name string) string {
	if _, value := find(doc, name); value != nil && value.Kind == yaml.ScalarNode {
		return value.Value
	}
	return ""
}
