package kubeconfig

import (
	"path/filepath"
	"testing"
)

// The server follows where it was one of haplane's, and no other does.
func TestMove(t *testing.T) {
	moved := demo
	moved.Server = "https://10.10.10.3:8443"
	foreign := moved
	foreign.CA = []byte("another CA")
	tests := map[string]struct {
		to     Config
		before []string
		want   string
	}{
		"follows":              {moved, []string{demo.Server}, moved.Server},
		"is elsewhere":         {moved, []string{"https://10.10.10.9:6443"}, demo.Server},
		"of another CA":        {foreign, []string{demo.Server}, demo.Server},
		"leads there as it is": {demo, []string{demo.Server}, demo.Server},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir, files := list(t, nil, "config")
			path := filepath.Join(dir, "config")
			if got, err := files.Move(t.Context(), test.to, test.before); err != nil || got != "" {
				t.Fatalf("of a cluster that is in no file: %q, %v", got, err)
			}
			merge(t, files, demo, path)
			got, err := files.Move(t.Context(), test.to, test.before)
			if changed := test.want != demo.Server; err != nil || (got == path) != changed {
				t.Errorf("%q, %v", got, err)
			}
			if server := load(t, path).Clusters["haplane-demo"].Server; server != test.want {
				t.Errorf("it leads to %s, want %s", server, test.want)
			}
		})
	}
}
