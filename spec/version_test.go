package spec

import "testing"

func TestSetKubernetesVersion(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":        {"spec:\n  kubernetesVersion: v1.36 # of the bank\n  identity: shared\n", "spec:\n  kubernetesVersion: v1.37.2 # of the bank\n  identity: shared\n"},
		"quoted":       {"spec: {kubernetesVersion: 'v1.36.3', identity: shared}\n", "spec: {kubernetesVersion: \"v1.37.2\", identity: shared}\n"},
		"JSON":         {`{"spec": {"kubernetesVersion": "v1.36.3"}}`, `{"spec": {"kubernetesVersion": "v1.37.2"}}`},
		"none":         {"spec:\n  identity: shared\n", "spec:\n  identity: shared\n"},
		"left empty":   {"spec:\n  kubernetesVersion: ''\n", "spec:\n  kubernetesVersion: ''\n"},
		"without spec": {"metadata: {name: demo}\n", "metadata: {name: demo}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SetKubernetesVersion([]byte(c.text), "v1.37.2")
			if err != nil || string(got) != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}
