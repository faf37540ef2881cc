package cluster

import (
	"context"

	"github.com/haplane/haplane/internal/component"
)

// Kubectl returns the path of the kubectl among the cluster's programs. It
// builds nothing that the cache has.
func (h *Handle) Kubectl(ctx context.Context, cache string) (string, error) {
	h.env.Cache = cache
	o, err := h.env.componentOptions()
	if err != nil {
		return "", err
	}
	o.Names, o.Report = []string{"kube"}, nil
	programs, err := component.Build(ctx, o)
	if err != nil {
		return "", err
	}
	return component.Path(programs, "kubectl"), nil
}
