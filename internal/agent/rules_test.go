package agent

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/haplane/haplane/internal/render"
)

// What a cluster grants is what the agent says that it needs, no more and no less.
func TestRenderedRolesAreRules(t *testing.T) {
	granted := map[string][]rbacv1.PolicyRule{}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(render.RBAC()), 4096)
	for {
		var role rbacv1.Role
		if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if role.Kind == "Role" || role.Name == "haplane:agent" && role.Kind == "ClusterRole" {
			granted[role.Namespace] = role.Rules
		}
	}
	everywhere, inDefault, kubeSystem := Rules()
	want := map[string][]rbacv1.PolicyRule{"": everywhere, "default": inDefault, "kube-system": kubeSystem}
	if diff := cmp.Diff(want, granted); diff != "" {
		t.Error(diff)
	}
}
