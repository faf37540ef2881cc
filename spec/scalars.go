package spec

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
	yaml11 "sigs.k8s.io/yaml"
)

// A written value is shown as it stands in the file.
type written string

func (w written) String() string { return string(w) }

// MarshalJSON fails: field.Error shows by String what is no JSON.
func (w written) MarshalJSON() ([]byte, error) { return nil, errors.New("no JSON") }

// shown is a value for a message: that of a list or a mapping is told by what it is.
func shown(n *yaml.Node) any {
	switch {
	case n.Kind == yaml.MappingNode:
		return written("a mapping")
	case n.Kind == yaml.SequenceNode:
		return written("a list")
	case n.Value == "" && null(n):
		return written("null")
	}
	if _, isString := meaning(n).(string); isString {
		return n.Value
	}
	return written(n.Value)
}

// target is the value that an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && meaning(n) == nil }

// meaning is what a scalar is in YAML 1.1, which Kubernetes' files are in: nil, a
// bool, a number or a string. There a bare yes is true.
func meaning(n *yaml.Node) any {
	var v any
	switch {
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return n.Value
	case n.Style&yaml.TaggedStyle != 0:
		if n.Decode(&v) != nil {
			return n.Value
		}
	default:
		if yaml11.Unmarshal([]byte(n.Value), &v) != nil {
			return n.Value
		}
	}
	return v
}

// scalar fills in a string, a number or a bool, and reports whether it could.
func (d *decoder) scalar(n *yaml.Node, into, def reflect.Value, at *field.Path) bool {
	take := asNumber
	switch into.Kind() {
	case reflect.String:
		take = asString
	case reflect.Bool:
		take = asBool
	}
	wrong := take(n, into, at)
	if wrong == nil && into.Kind() != reflect.Bool && into.IsZero() && hasDefault(def) && !required(at) && !d.kept {
		wrong = field.Invalid(at, into.Interface(), leftEmpty(def))
	}
	if wrong != nil {
		d.wrongly(wrong)
	}
	return wrong == nil
}

// leftEmpty says what to do about a field that is written without a value, or with none that it can have.
func leftEmpty(def reflect.Value) string {
	if def.Kind() == reflect.Int {
		return fmt.Sprintf("must be between 1 and 65535, inclusive; leave the field out for its default, %d", def.Int())
	}
	return "is empty; leave the field out for its default, or write what it is to be"
}

// required tells of the fields without a default, whose validation says what they may be.
func required(at *field.Path) bool {
	return at.String() == "apiVersion" || at.String() == "kind" || last(at) == "role"
}

func asString(n *yaml.Node, into reflect.Value, at *field.Path) *field.Error {
	text, ok := meaning(n).(string)
	if n.Kind == yaml.ScalarNode && ok {
		into.SetString(text)
		return nil
	}
	want, known := examples[at.String()]
	if !known {
		want, known = examples[last(at)]
	}
	if n.Kind != yaml.ScalarNode && !known {
		return field.Invalid(at, shown(n), "must be a string")
	}
	if n.Kind != yaml.ScalarNode {
		return field.Invalid(at, shown(n), "must be a string: write "+want)
	}
	if !known {
		want = strconv.Quote(n.Value)
	}
	kind := "a number"
	if _, isBool := meaning(n).(bool); isBool {
		kind = "true or false"
	}
	return field.Invalid(at, shown(n), fmt.Sprintf("must be a string, and YAML reads it as %s: write %s", kind, want))
}

func asBool(n *yaml.Node, into reflect.Value, at *field.Path) *field.Error {
	value, ok := meaning(n).(bool)
	if n.Kind != yaml.ScalarNode || !ok {
		return field.Invalid(at, shown(n), "must be true or false, without quotes")
	}
	into.SetBool(value)
	return nil
}

var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// asNumber takes decimal digits alone: 0443 would be another number. All numbers are ports.
func asNumber(n *yaml.Node, into reflect.Value, at *field.Path) *field.Error {
	_, quoted := meaning(n).(string)
	if n.Kind != yaml.ScalarNode || !wholeNumber.MatchString(n.Value) {
		return field.Invalid(at, shown(n), "must be a whole number")
	}
	if quoted {
		return field.Invalid(at, shown(n), "must be a whole number without quotes: write "+n.Value)
	}
	number, err := strconv.ParseInt(n.Value, 10, 32)
	if err != nil {
		return field.Invalid(at, shown(n), "must be between 1 and 65535, inclusive")
	}
	into.SetInt(number)
	return nil
}

// examples are what to write into a field that is no text of one's own, by its path or, where there is one meaning, its name.
var examples = map[string]string{
	"apiVersion":             strconv.Quote(APIVersion),
	"kind":                   strconv.Quote(Kind),
	"spec.loadBalancer.kind": quoted([]BalancerKind{Dedicated, OnControlPlane, ExternalBalancer}),
	"identity":               quoted([]Identity{Shared, PerNode, SharedCertificate}),
	"endpointReconciler":     quoted([]EndpointReconciler{ReconcilerNone, ReconcilerLease}),
	"kubernetesVersion":      `a version such as "v1.37.2", or a minor such as "v1.37"`,
	"role":                   quoted([]Role{RoleControlPlane, RoleWorker, RoleLoadBalancer, RoleEtcd}),
	"address":                `an IP address such as "10.10.10.11", or one of each family with a comma between them`,
	"machineCIDR":            oneNetwork(DefaultMachineCIDR),
	"podCIDR":                oneNetwork(DefaultPodCIDR),
	"serviceCIDR":            oneNetwork(DefaultServiceCIDR),
}

func oneNetwork(example string) string {
	return fmt.Sprintf("a network such as %q, or one of each family with a comma between them", example)
}

// last is the name at the end of a path, of an item that of its list.
func last(at *field.Path) string {
	path := at.String()
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' {
			return path[i+1:]
		}
	}
	return path
}
