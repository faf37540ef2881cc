package spec

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	generate "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

func TestDefaultFileIsTheDefault(t *testing.T) {
	c, err := Parse("default.yaml", []byte(DefaultFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(DefaultName), c); diff != "" {
		t.Error(diff)
	}
}

// The schema comes from the types, so that it cannot lag behind them.
func TestSchemaIsCurrent(t *testing.T) {
	r := generate.Reflector{RequiredFromJSONSchemaTags: true, DoNotReference: true}
	if err := r.AddGoComments("github.com/haplane/haplane/spec", "./"); err != nil {
		t.Fatal(err)
	}
	schema := r.Reflect(&Cluster{})
	schema.ID, schema.Required = "", []string{"apiVersion", "kind"}
	schema.Title = "haplane cluster file"
	got, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile("schema.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(Schema, string(got)); diff != "" {
		t.Errorf("UPDATE_GOLDEN=1 go test ./spec writes it anew:\n%s", diff)
	}
}

func TestExamplesFitTheSchemaAndTheRules(t *testing.T) {
	schema := compile(t)
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range append(files, "default.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(tree(t, data)); err != nil {
				t.Errorf("schema: %v", err)
			}
			if _, err := Parse(file, data); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSchemaRefuses(t *testing.T) {
	schema := compile(t)
	for name, file := range map[string]string{
		"unknown field": head + "spec: {identty: shared}", "wrong type": head + "spec: {loadBalancer: {port: high}}",
		"unknown identity": head + "spec: {identity: twin}", "no kind": "apiVersion: haplane/v1alpha1",
		"unknown role": head + "spec: {nodes: [{role: master}]}", "no port": head + "spec: {loadBalancer: {port: 0}}",
		"no nodes": head + "spec: {nodes: []}", "an empty name": head + "metadata: {name: ''}", "a port twice": head + "spec: {loadBalancer: {additionalPorts: [443, 443]}}",
	} {
		t.Run(name, func(t *testing.T) {
			if err := schema.Validate(tree(t, []byte(file))); err == nil {
				t.Error("no error")
			}
		})
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(Schema)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("cluster.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("cluster.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func tree(t *testing.T, data []byte) any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
