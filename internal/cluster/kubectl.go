package cluster

import (
	"context"

	"github.com/haplane/haplane/internal/component"
)

// Kubectl returns the path of the kubectl that was built with the components in
// the cache. It builds nothing that is there.
func Kubectl(ctx context.Context, cache string) (string, error) {
	source, err := component.SourceDir()
	if err != nil {
		return "", err
	}
	programs, err := component.Build(ctx, component.Options{Source: source, Cache: cache, Names: []string{"kube"}})
	if err != nil {
		return "", err
	}
	return programs[0].Path, nil
}
