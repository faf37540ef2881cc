package parse

import (
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Whatever a file nests, parsers end, and do not exhaust the stack.
func TestDeepNestingIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"lists":     strings.Repeat("[", 20000),
		"maps":      strings.Repeat("{a: ", 20000),
		"alternate": strings.Repeat("[{a: ", 20000),
		"JSON":      strings.Repeat(`{"a":[`, 20000),
		"aliases":   "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Config(text); err == nil {
				t.Error("a configuration")
			}
			if _, err := Manifest(text); err == nil {
				t.Error("a manifest")
			}
			if k := Kubeconfig("", text); k.Err == "" {
				t.Error("a kubeconfig")
			}
			if err := EtcdStatus(text, &evidence.Etcd{}); err == nil {
				t.Error("an answer of etcd")
			}
		})
	}
}
