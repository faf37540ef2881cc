package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var begins = fmt.Sprintf("a cluster file starts with `apiVersion: %s` and `kind: %s`", APIVersion, Kind)

// decode reads the document of a file, as far as it can be: the cluster has what could
// be taken, the reading what somebody wrote. The cluster is nil where nothing could be.
func decode(data []byte, kept bool) (*Cluster, *reading, field.ErrorList) {
	d := &decoder{reading: reading{map[string]int{}, map[string]bool{}}, kept: kept}
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

var lineNumber = regexp.MustCompile(`^line (\d+): `)

// syntax says what the YAML library says, in one line, and of tabs that they are it.
func syntax(err error, data []byte) string {
	said := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
	reported := 0
	if m := lineNumber.FindStringSubmatch(said); m != nil {
		reported, _ = strconv.Atoi(m[1])
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if content(line) && bytes.ContainsRune(indent, '\t') {
			return fmt.Sprintf("line %d is indented with a tab; use spaces", i+1)
		}
		if i+1 == reported && strings.Contains(said, "cannot start any token") && bytes.ContainsRune(line, '\t') {
			return fmt.Sprintf("line %d has a tab between its words; use spaces", i+1)
		}
	}
	return said
}
