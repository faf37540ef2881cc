package cli

import (
	"fmt"

	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/probe"
)

// anyCluster are the lanes that any cluster has.
var anyCluster = []string{kubeprobe.LBNew, kubeprobe.LBReused, kubeprobe.Write, kubeprobe.Watch}

// lanes are those that are wanted of the cluster that is named.
func (p *probeRun) lanes() ([]probe.Lane, error) {
	target, kinds, err := p.target()
	if err != nil {
		return nil, err
	}
	if len(p.kinds) > 0 {
		kinds = p.kinds
	}
	return target.Lanes(kinds...)
}

// target returns the lanes that it has unless others are wanted as well.
func (p *probeRun) target() (*kubeprobe.Target, []string, error) {
	if p.api != nil {
		config, _, wrong := p.api.Config()
		if wrong != nil { // it was right a moment ago
			return nil, nil, fmt.Errorf("read kubeconfig: %s: %s", wrong.Source, wrong.Err)
		}
		return kubeprobe.ForConfig(config, nil), anyCluster, nil
	}
	h, err := p.open()
	if err != nil {
		return nil, nil, err
	}
	config, err := h.Kubeconfig("")
	if err != nil {
		return nil, nil, err
	}
	data, err := config.Bytes()
	if err != nil {
		return nil, nil, err
	}
	t, err := kubeprobe.NewTarget(data, h.APIServers())
	return t, kubeprobe.Kinds, err
}
