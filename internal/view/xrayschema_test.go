package view

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"testing"

	generate "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

const xraySchema = "../../docs/xray-report.schema.json"

// The schema comes from the types, so that it cannot lag behind them.
func TestXraySchema(t *testing.T) {
	r := generate.Reflector{DoNotReference: true, AllowAdditionalProperties: true, Mapper: enums} // later versions may add fields
	if err := r.AddGoComments("github.com/haplane/haplane/internal/xray", "../xray"); err != nil {
		t.Fatal(err)
	}
	schema := r.Reflect(&xray.Report{})
	schema.ID, schema.Title = "", "report of haplane xray"
	compare(t, xraySchema, func(w io.Writer) error { return JSON(w, schema) })
}

// enums are the types that have few values.
func enums(t reflect.Type) *generate.Schema {
	values := map[reflect.Type][]any{
		reflect.TypeFor[xray.Status]():   {xray.Fail, xray.Error, xray.Warn, xray.Skip, xray.Pass},
		reflect.TypeFor[evidence.Way]():  {evidence.Machines, evidence.API, evidence.Folder},
		reflect.TypeFor[spec.Identity](): {spec.Shared, spec.PerNode, spec.SharedCertificate, xray.Mixed},

		reflect.TypeFor[change.Operation](): {change.OpStop, change.OpRemove, change.OpAdd, change.OpPromote},
		reflect.TypeFor[kubeapi.Change]():   {kubeapi.Created, kubeapi.Configured, kubeapi.Unchanged},
	}
	if values[t] == nil {
		return nil
	}
	return &generate.Schema{Type: "string", Enum: values[t]}
}

func TestReportsFitTheSchema(t *testing.T) {
	schema := compileSchema(t, xraySchema)
	for name, c := range xrayCases {
		t.Run(name, func(t *testing.T) {
			if err := schema.Validate(asTree(t, c.report())); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSchemaRefusesReports(t *testing.T) {
	schema := compileSchema(t, xraySchema)
	for name, spoil := range map[string]func(report map[string]any){
		"no verdict":       func(r map[string]any) { delete(r, "verdict") },
		"no summary":       func(r map[string]any) { delete(r["verdict"].(map[string]any), "summary") },
		"findings absent":  func(r map[string]any) { delete(r, "findings") },
		"no status":        func(r map[string]any) { delete(r["findings"].([]any)[0].(map[string]any), "status") },
		"tolerance a word": func(r map[string]any) { r["verdict"].(map[string]any)["toleratedFailures"] = "one" },
		"unknown status":   func(r map[string]any) { r["findings"].([]any)[0].(map[string]any)["status"] = "maybe" },
		"unknown way":      func(r map[string]any) { r["ways"] = []any{"telnet"} },
	} {
		t.Run(name, func(t *testing.T) {
			report := asTree(t, xrayCases["broken"].report()).(map[string]any)
			spoil(report)
			if err := schema.Validate(report); err == nil {
				t.Error("no error")
			}
		})
	}
}

func compileSchema(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("report.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func asTree(t *testing.T, r any) any {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
