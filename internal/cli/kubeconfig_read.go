package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/xray/collect"
)

// readKubeconfig finds out before anything is asked whether a file is a kubeconfig, and whether
// it has the context, "" being its current one. Paths in it are read as kubectl reads them.
func readKubeconfig(ctx context.Context, path, contextName string) (*collect.Kubeconfig, error) {
	if err := checkPath("kubeconfig", path, false); err != nil {
		return nil, err
	}
	data, err := readLimited(ctx, path, patience, openNamed(path))
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	if err := noKubeconfig(data); err != nil {
		return nil, fmt.Errorf("--kubeconfig: %s %w", path, err)
	}
	k := &collect.Kubeconfig{Path: path, Context: contextName}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // it cannot be read twice
		k = &collect.Kubeconfig{Content: data, Name: path, Context: contextName}
	}
	if _, _, wrong := k.Config(); wrong != nil {
		return nil, fmt.Errorf("--kubeconfig: %s: %s. %s", wrong.Source, wrong.Err, wrong.Fix)
	}
	return k, nil
}

// noKubeconfig tells of what else a file is. client-go takes most of it for a
// kubeconfig without contexts, or speaks of its own types.
func noKubeconfig(data []byte) error {
	var tree any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return errors.New("is no kubeconfig: it is not YAML")
	}
	file, ok := tree.(map[string]any)
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("is empty, and no kubeconfig")
	case !ok:
		return errors.New("is no kubeconfig: it is not a mapping with clusters, users and contexts")
	case file["kind"] != nil && file["kind"] != "Config":
		return fmt.Errorf("is no kubeconfig: its kind is %v, not Config", file["kind"])
	case file["clusters"] == nil && file["contexts"] == nil && file["users"] == nil:
		return errors.New("is no kubeconfig: it has no clusters, users and contexts")
	}
	for _, name := range []string{"clusters", "users", "contexts"} {
		if !entries(file[name], strings.TrimSuffix(name, "s")) {
			return fmt.Errorf("is no kubeconfig: %s is not a list of entries with a name and a %s", name, strings.TrimSuffix(name, "s"))
		}
	}
	return nil
}

// entries reports whether a value is a list as kubeconfigs have it.
func entries(value any, inner string) bool {
	list, ok := value.([]any)
	for _, item := range list {
		entry, isEntry := item.(map[string]any)
		_, named := entry["name"].(string)
		_, full := entry[inner].(map[string]any)
		ok = ok && isEntry && named && (full || entry[inner] == nil)
	}
	return ok || value == nil
}
