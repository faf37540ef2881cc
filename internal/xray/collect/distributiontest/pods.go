package distributiontest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// A staticPod is a manifest of one container, and the process that comes of it.
type staticPod struct {
	file      string // its name in the folder of manifests
	name      string
	image     string
	command   []string
	args      []string
	env       map[string]string
	mounts    map[string]string // path in the container to path on the machine
	grace     int               // terminationGracePeriodSeconds, 0 where it is not set
	process   []string          // nil for command and args
	sidecars  []any
	namespace string
}

const manifests = "/etc/kubernetes/manifests/"

// static writes a manifest, with a mode that only kubeadm's has of all.
func (n *Node) static(p staticPod) {
	spec := map[string]any{"hostNetwork": true, "priorityClassName": "system-node-critical", "containers": append([]any{p.container()}, p.sidecars...)}
	if p.grace > 0 {
		spec["terminationGracePeriodSeconds"] = p.grace
	}
	var volumes []any
	for _, on := range slices.Compact(slices.Sorted(maps.Values(p.mounts))) {
		volumes = append(volumes, map[string]any{"name": volume(on), "hostPath": map[string]any{"path": on}})
	}
	if volumes != nil {
		spec["volumes"] = volumes
	}
	if p.namespace == "" {
		p.namespace = "kube-system"
	}
	text, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "spec": spec,
		"metadata": map[string]any{"name": p.name, "namespace": p.namespace, "labels": map[string]any{"component": p.name, "tier": "control-plane"}}})
	if err != nil {
		panic(err)
	}
	if p.file == "" {
		p.file = p.name + ".yaml"
	}
	n.file(manifests+p.file, 0o600, string(text))
	if p.process == nil {
		p.process = append(append([]string{}, p.command...), p.args...)
	}
	if len(p.process) > 0 {
		n.runs(InPod, p.process...)
	}
}

func (p staticPod) container() map[string]any {
	out := map[string]any{"name": p.name, "image": p.image}
	if p.command != nil {
		out["command"] = p.command
	}
	if p.args != nil {
		out["args"] = p.args
	}
	var env, mounts []any
	for _, name := range slices.Sorted(maps.Keys(p.env)) {
		env = append(env, map[string]any{"name": name, "value": p.env[name]})
	}
	for _, inside := range slices.Sorted(maps.Keys(p.mounts)) {
		mounts = append(mounts, map[string]any{"name": volume(p.mounts[inside]), "mountPath": inside})
	}
	if env != nil {
		out["env"] = env
	}
	if mounts != nil {
		out["volumeMounts"] = mounts
	}
	return out
}

func volume(on string) string {
	return strings.Trim(strings.ReplaceAll(path.Clean(on), "/", "-"), "-.")
}

// same are mounts of paths that are the same in the container.
func same(paths ...string) map[string]string {
	out := map[string]string{}
	for _, p := range paths {
		out[p] = p
	}
	return out
}

// member notes the member of etcd that a machine has, for what it tells of itself.
func (n *Node) member(name, scheme string, clientPort, peerPort int) {
	n.Member = &Member{name, fmt.Sprintf("%s://%s:%d", scheme, n.Address, clientPort), fmt.Sprintf("%s://%s:%d", scheme, n.Address, peerPort)}
}
