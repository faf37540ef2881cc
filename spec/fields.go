package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A decoder fills in a cluster from YAML and goes on after a mistake: the field stays
// empty, and what depends on it is not judged. Libraries end at the first, and say it in Go's words.
type decoder struct {
	reading
	kept bool // see ParseKept
	errs field.ErrorList
}

func (d *decoder) wrongly(e *field.Error) {
	d.wrong[e.Field] = true
	d.errs = append(d.errs, e)
}

// value fills in one value, whose default is def, where it has one.
func (d *decoder) value(n *yaml.Node, into, def reflect.Value, at *field.Path) {
	n = target(n)
	switch into.Kind() {
	case reflect.Struct:
		if d.is(n, yaml.MappingNode, "a mapping; its fields: "+strings.Join(slices.Sorted(slices.Values(fieldsOf(into.Type()))), ", "), at) {
			d.fields(n, into, def, at)
		}
	case reflect.Map:
		if d.is(n, yaml.MappingNode, "a mapping", at) {
			d.entries(n, into, at)
		}
	case reflect.Slice:
		if d.is(n, yaml.SequenceNode, "a list: "+lists[last(at)], at) {
			d.items(n, into, def, at)
		}
	case reflect.Pointer:
		value := reflect.New(into.Type().Elem())
		if d.scalar(n, value.Elem(), def, at) {
			into.Set(value)
		}
	default:
		d.scalar(n, into, def, at)
	}
}

// line keeps where a field is. Of one that is there twice it is where it comes again.
func (d *decoder) line(at *field.Path, key *yaml.Node) {
	if d.lines[at.String()] == 0 {
		d.lines[at.String()] = key.Line
	}
}

// lists are what an entry of a list looks like, by the name of the field.
var lists = map[string]string{
	"additionalPorts": "write [443], or a line with a dash for each",
	"dnsNames":        "write [api.example.com], or a line with a dash for each",
	"recipients":      "write [age1...], or a line with a dash for each",
	"nodes":           "write [{role: control-plane}], or a line with a dash for each",
}

func (d *decoder) is(n *yaml.Node, kind yaml.Kind, want string, at *field.Path) bool {
	if n.Kind != kind {
		d.wrongly(field.Invalid(at, shown(n), "must be "+want))
	}
	return n.Kind == kind
}

// fields fills in a struct.
func (d *decoder) fields(n *yaml.Node, into, def reflect.Value, at *field.Path) {
	names := fieldsOf(into.Type())
	for _, m := range d.members(n, func(name string) *field.Path { return below(at, name) }) {
		path := below(at, m.key.Value)
		i := slices.Index(names, m.key.Value)
		switch {
		case i < 0:
			d.line(path, m.key)
			d.wrongly(field.Invalid(path, field.OmitValueType{}, unknown(m.key.Value, slices.Sorted(slices.Values(names)))))
		default:
			d.line(path, m.key)
			d.fieldOf(m.value, into.Field(i), inner(def, func() reflect.Value { return def.Field(i) }), path)
		}
	}
}

// fieldOf fills in a field. One without a value, be it that what was there is commented out or that a template had nothing to put there, is
// not silently its default.
func (d *decoder) fieldOf(n *yaml.Node, into, def reflect.Value, at *field.Path) {
	switch isNull := null(target(n)); {
	case isNull && (hasDefault(def) || slices.ContainsFunc(safeguards, func(name string) bool { return strings.HasSuffix(at.String(), name) })) && !d.kept:
		d.wrongly(field.Invalid(at, field.OmitValueType{}, "has no value; write one, or leave the field out for its default"))
	case !isNull:
		d.value(n, into, def, at)
	}
}

// safeguards are fields that have no default, and without which a cluster is less safe than its file meant.
var safeguards = []string{".snapshots.schedule", ".snapshots.recipients", ".certificates.externalCA"}

// fieldsOf are the names of a struct's fields in a file, in its order.
func fieldsOf(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// entries fills in a map, whose keys are strings.
func (d *decoder) entries(n *yaml.Node, into reflect.Value, at *field.Path) {
	into.Set(reflect.MakeMap(into.Type()))
	for _, m := range d.members(n, at.Key) {
		path := at.Key(m.key.Value)
		d.line(path, m.key)
		value := reflect.New(into.Type().Elem()).Elem()
		switch isNull := null(target(m.value)); {
		case isNull && value.Kind() == reflect.String && !d.kept:
			d.wrongly(field.Invalid(path, field.OmitValueType{}, `has no value; write one, "" for an empty one`))
		case !isNull:
			d.value(m.value, value, reflect.Value{}, path)
		}
		into.SetMapIndex(reflect.ValueOf(m.key.Value), value)
	}
}

// items fills in a list. An item that cannot be taken keeps its place.
func (d *decoder) items(n *yaml.Node, into, def reflect.Value, at *field.Path) {
	if len(n.Content) == 0 && hasDefault(def) && !d.kept {
		d.wrongly(field.Invalid(at, written("[]"), "is empty; leave the field out for its default, or list what there is to be"))
	}
	into.Set(reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		path := at.Index(i)
		d.line(path, item)
		if null(target(item)) {
			d.wrongly(field.Invalid(path, field.OmitValueType{}, "is empty; write the entry, or remove it"))
			continue
		}
		d.value(item, into.Index(i), inner(def, func() reflect.Value { return def.Index(0) }), path)
	}
}

// inner is a part of a default, where there is one.
func inner(def reflect.Value, part func() reflect.Value) reflect.Value {
	if !def.IsValid() || def.Kind() == reflect.Slice && def.Len() == 0 {
		return reflect.Value{}
	}
	return part()
}

func hasDefault(def reflect.Value) bool { return def.IsValid() && !def.IsZero() }

func below(at *field.Path, name string) *field.Path {
	if at == nil {
		return field.NewPath(name)
	}
	return at.Child(name)
}

// unknown names the field that was probably meant, the mapping that has one of this name, or
// all that there are.
func unknown(name string, known []string) string {
	if home := homeOf(name, reflect.TypeFor[Cluster](), nil); home != nil {
		return fmt.Sprintf("unknown field here; it belongs into %s", home)
	}
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("unknown field; did you mean %q?", near)
	}
	return "unknown field; known here: " + strings.Join(known, ", ")
}

// homeOf is the mapping that has a field of the name, where it is but one; nil is also the file itself.
func homeOf(name string, t reflect.Type, at *field.Path) *field.Path {
	var homes []*field.Path
	for i, field := range fieldsOf(t) {
		f := t.Field(i)
		switch {
		case field == name:
			homes = append(homes, at)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			f.Type = f.Type.Elem()
			fallthrough
		case f.Type.Kind() == reflect.Struct:
			if home := homeOf(name, f.Type, below(at, field)); home != nil {
				homes = append(homes, home)
			}
		}
	}
	if len(homes) == 1 {
		return homes[0]
	}
	return nil
}
