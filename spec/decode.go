package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// Parse reads a cluster file, fills in the defaults and validates the result.
// The error is a *FileError with every problem found, not only the first.
func Parse(name string, data []byte) (*Cluster, error) {
	c, errs := decode(data)
	if len(errs) == 0 {
		SetDefaults(c)
		errs = Validate(c)
	}
	if len(errs) > 0 {
		return nil, &FileError{Name: name, Problems: errs}
	}
	return c, nil
}

// A FileError lists everything that is wrong with a cluster file.
type FileError struct {
	Name     string
	Problems field.ErrorList
}

// Error has a line for each problem, with the path of the field.
func (e *FileError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, e.Name+": "+problem(p))
	}
	return strings.Join(lines, "\n")
}

func problem(e *field.Error) string {
	if e.Field == "" || e.Field == "<nil>" {
		return e.Detail
	}
	return e.Error()
}

func decode(data []byte) (*Cluster, field.ErrorList) {
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, field.ErrorList{{Type: field.ErrorTypeInvalid, Detail: "not valid YAML: " + oneLine(err)}}
	}
	var tree any
	if err := json.Unmarshal(asJSON, &tree); err != nil {
		return nil, field.ErrorList{{Type: field.ErrorTypeInvalid, Detail: err.Error()}}
	}
	if tree == nil {
		return nil, field.ErrorList{{Type: field.ErrorTypeInvalid,
			Detail: fmt.Sprintf("is empty; a cluster file starts with `apiVersion: %s` and `kind: %s`", APIVersion, Kind)}}
	}
	if errs := checkShape(tree, reflect.TypeFor[Cluster](), nil); len(errs) > 0 {
		return nil, errs
	}
	var c Cluster
	if err := json.Unmarshal(asJSON, &c); err != nil {
		return nil, field.ErrorList{{Type: field.ErrorTypeInvalid, Detail: err.Error()}}
	}
	return &c, nil
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
}

// checkShape compares a decoded document with the type that it is for: unknown
// fields and values of another kind. encoding/json would stop at the first.
func checkShape(value any, t reflect.Type, at *field.Path) field.ErrorList {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value == nil {
		return nil // an empty field has its default
	}
	switch t.Kind() {
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			return wrongKind(at, value, "a mapping")
		}
		return checkFields(object, t, at)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return wrongKind(at, value, "a list")
		}
		var errs field.ErrorList
		for i, item := range list {
			errs = append(errs, checkShape(item, t.Elem(), at.Index(i))...)
		}
		return errs
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			return wrongKind(at, value, "a mapping")
		}
		var errs field.ErrorList
		for _, key := range slices.Sorted(maps.Keys(object)) {
			errs = append(errs, checkShape(object[key], t.Elem(), at.Key(key))...)
		}
		return errs
	case reflect.String:
		if _, ok := value.(string); !ok {
			return wrongKind(at, value, "a string")
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			return wrongKind(at, value, "true or false")
		}
	case reflect.Int:
		if n, ok := value.(float64); !ok || n != math.Trunc(n) {
			return wrongKind(at, value, "a whole number")
		}
	default:
		panic("spec: no rule for fields of type " + t.String())
	}
	return nil
}

func checkFields(object map[string]any, t reflect.Type, at *field.Path) field.ErrorList {
	known := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		known[name] = t.Field(i).Type
	}
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(object)) {
		path := field.NewPath(name)
		if at != nil {
			path = at.Child(name)
		}
		ft, ok := known[name]
		if !ok {
			errs = append(errs, field.Invalid(path, field.OmitValueType{}, unknown(name, slices.Sorted(maps.Keys(known)))))
			continue
		}
		errs = append(errs, checkShape(object[name], ft, path)...)
	}
	return errs
}

// unknown names the field that was probably meant, or all that there are.
func unknown(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("unknown field; did you mean %q?", near)
	}
	return "unknown field; known here: " + strings.Join(known, ", ")
}

func wrongKind(at *field.Path, value any, want string) field.ErrorList {
	if at == nil {
		return field.ErrorList{{Type: field.ErrorTypeInvalid, Detail: "is not " + want}}
	}
	return field.ErrorList{field.TypeInvalid(at, value, "must be "+want)}
}
