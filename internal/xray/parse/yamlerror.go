package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

var yamlLine = regexp.MustCompile(`line \d+`)

// readYAML is yaml.Unmarshal with errors that say where, not what: those of the
// library quote the file, which may be a secret.
func readYAML(text string, out any) error {
	err := yaml.Unmarshal([]byte(text), out)
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		value, _, _ := strings.Cut(kind.Value, " ") // "number 12" has the number
		return fmt.Errorf("%s is of type %s", first(kind.Field, "it"), value)
	}
	if line := yamlLine.FindString(err.Error()); line != "" {
		return fmt.Errorf("not YAML in %s", line)
	}
	return errors.New("not YAML")
}
