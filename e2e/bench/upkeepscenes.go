package main

// The clusters of upkeep, one after another, and what each lives through: versions, keys, shape, identities, data, kubeadm. By hand,
// one row or a few, by their names:
//
//	go run ./e2e/bench -only upkeep -samples upkeep.json -match '^upgrade'        the versions of Kubernetes, there and back
//	go run ./e2e/bench -only upkeep -samples upkeep.json -match '^rotate'         the five keys; or 'rotate ca$'
//	go run ./e2e/bench -only upkeep -samples upkeep.json -match '^identity'       the six changes of identity
//	go run ./e2e/bench -only upkeep -samples upkeep.json -match 'load balancer'   its port and its machine

import (
	"context"
	"fmt"
	"strings"
)

// The cluster of every scene: one after another, never two at a time.
const (
	upkeepName    = "hpu"
	upkeepNetwork = "10.78.1.0/24"
)

// threeAndOne are the nodes of every scene, the load balancer apart.
const threeAndOne = "  nodes:\n  - {role: control-plane}\n  - {role: control-plane}\n  - {role: control-plane}\n  - {role: worker}\n"

const loadBalancer = "  - {role: load-balancer, name: lb-1}\n"

// fileOf is the cluster file with these lines in its spec, and these nodes.
func fileOf(nodes string, lines ...string) string {
	head := fmt.Sprintf("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: %s}\nspec:\n  network: {machineCIDR: %s, nat: false}\n", upkeepName, upkeepNetwork)
	for _, l := range lines {
		head += "  " + l + "\n"
	}
	return head + nodes
}

func plainFile(lines ...string) string { return fileOf(threeAndOne+loadBalancer, lines...) }

var scenes = []scene{
	{name: "versions", file: plainFile("kubernetesVersion: v1.36"), groups: versionTasks},
	{name: "keys", file: plainFile(), groups: keyTasks},
	{name: "shape", file: plainFile(), groups: shapeTasks},
	{name: "identities", file: plainFile("identity: perNode"), groups: identityTasks},
	{name: "data", file: plainFile(), groups: dataTasks},
	{name: "kubeadm", file: plainFile("kubernetesVersion: v1.36"), groups: kubeadmTasks, begin: beginKubeadm},
}

const upgradeAnew = "upgrade v1.36 to v1.37, machines made anew"

// versionTasks end with the older version again. Nodes are drained, so tokens that are bound to a pod end with it.
func versionTasks(int) [][]task {
	resume := []string{"upgrade", "--resume"}
	return [][]task{{
		{what: upgradeAnew, args: []string{"upgrade", "--to", "v1.37"}, token: ofAccount, finish: resume},
		{what: "back to v1.36, machines made anew", args: []string{"upgrade", "--back"}, token: ofAccount, finish: resume},
		{what: "upgrade v1.36 to v1.37 in place", args: []string{"upgrade", "--to", "v1.37", "--in-place"}, token: ofAccount, finish: resume},
		{what: "back to v1.36 after one in place", args: []string{"upgrade", "--back"}, token: ofAccount, finish: resume},
	}}
}

func keyTasks(int) [][]task {
	groups := [][]task{{{what: "renew all certificates", args: []string{"certs", "renew"}, token: ofPod}}}
	for _, name := range []string{"ca", "etcd-ca", "front-proxy-ca", "service-account", "encryption"} {
		rotate := task{what: "rotate " + name, args: []string{"certs", "rotate", name}, token: ofPod, finish: []string{"certs", "rotate", name}}
		if name == "service-account" {
			rotate.between = newPods
		}
		groups = append(groups, []task{rotate})
	}
	return groups
}

// newPods makes the pods of CoreDNS anew: nobody has a token of the old key then.
func newPods(ctx context.Context, u *upkeep) error {
	if err := ok(u.Kubectl(ctx, "--namespace", "kube-system", "delete", "pods", "--all")); err != nil {
		return err
	}
	return ok(u.Kubectl(ctx, "--namespace", "kube-system", "rollout", "status", "deployment/coredns", "--timeout", "90s"))
}

// toAndBack changes the file of a scene, and takes that back.
func toAndBack(to, back string, there, here string, token tokenOf) []task {
	return []task{{what: to, file: there, token: token}, {what: back, file: here, token: token}}
}

// shapeTasks are changes of the file in the identity shared. Where the load balancer moves, a token has nowhere to ask all the time, and
// where nodes are drained, a pod's token ends with it.
func shapeTasks(int) [][]task {
	plain := plainFile()
	address := strings.TrimSuffix(upkeepNetwork, "0/24")
	first := fileOf(threeAndOne+loadBalancer, "loadBalancer: {address: "+address+"3}")
	other := fileOf(threeAndOne+"  - {role: load-balancer, name: lb-2}\n", "loadBalancer: {address: "+address+"4}")
	etcd := fileOf(threeAndOne + loadBalancer + "  - {role: etcd}\n  - {role: etcd}\n  - {role: etcd}\n")
	return [][]task{
		toAndBack("identity shared to perNode", "identity perNode to shared", plainFile("identity: perNode"), plain, ofPod),
		toAndBack("identity shared to sharedCertificate", "identity sharedCertificate to shared", plainFile("identity: sharedCertificate"), plain, ofPod),
		toAndBack("control-plane nodes without kubelets", "control-plane nodes with kubelets again", plainFile("controlPlane: {kubelet: false}"), plain, ofAccount),
		toAndBack("load balancer's port 6443 to 8443", "load balancer's port 8443 to 6443", plainFile("loadBalancer: {port: 8443}"), plain, nobody),
		toAndBack("load balancer to another machine", "load balancer back to the first machine", other, first, nobody),
		toAndBack("etcd to machines of its own, by the file", "etcd back to the control-plane nodes, by the file", etcd, plain, ofPod),
	}
}

// identityTasks are the two of the six changes of identity that do not touch shared.
func identityTasks(int) [][]task {
	return [][]task{toAndBack("identity perNode to sharedCertificate", "identity sharedCertificate to perNode",
		plainFile("identity: sharedCertificate"), plainFile("identity: perNode"), ofPod)}
}
