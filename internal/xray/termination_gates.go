package xray

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func featureGatesEqual(s *Scene) []Finding {
	var out []Finding
	for _, program := range []struct {
		name   string
		status Status // kubelets and kube-proxies act for their own node alone
	}{
		{evidence.APIServer, Fail}, {evidence.ControllerManager, Fail}, {evidence.Scheduler, Fail},
		{evidence.EtcdServer, Warn}, {evidence.Kubelet, Warn}, {evidence.KubeProxy, Warn},
	} {
		var all []said
		for _, p := range s.Instances(program.name) {
			all = append(all, said{at: p.at(), value: featureGates(p)})
		}
		if len(all) > 1 {
			out = append(out, agree(program.name, all, program.status)...)
		}
	}
	return out
}

// featureGates are those of a program's flags and configuration, sorted; a flag
// goes before the configuration.
func featureGates(p Instance) string {
	gates := map[string]string{}
	if section, ok := p.Config["featureGates"].(map[string]any); ok {
		for name, on := range section {
			gates[name] = fmt.Sprint(on)
		}
	}
	for _, one := range p.List("feature-gates") {
		name, on, _ := strings.Cut(one, "=")
		name = strings.TrimPrefix(strings.TrimSpace(name), "kube:") // the component that is meant without one
		if b, err := strconv.ParseBool(on); err == nil {
			on = strconv.FormatBool(b)
		}
		gates[name] = on
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(gates)) {
		out = append(out, name+"="+gates[name])
	}
	if len(out) == 0 {
		return "none set"
	}
	return strings.Join(out, ", ")
}
