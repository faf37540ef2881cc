//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/haplane/haplane/e2e/rig"
)

// held is what a snapshot has that was taken while endpoints were held, as far as a restore must take it away.
const held = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: haplane-holds-kubernetes-endpoints}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [endpoints], resourceNames: [kubernetes], operations: [UPDATE]}]}
  validations: [{expression: "false"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: haplane-holds-kubernetes-endpoints}
spec: {policyName: haplane-holds-kubernetes-endpoints, validationActions: [Deny]}
`

// TestChangeRestoreElsewhere loses the machines of the whole control plane, and then all machines with record and keys. One
// file brings the cluster back each time, with the authority that it had.
func TestChangeRestoreElsewhere(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-elsewhere", 55)
	before := lookAtHost(r)
	must(t, 0, c.Up(background(t)))
	e := &elsewhere{etcdDay: &etcdDay{day: &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}}}
	e.save(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"control-plane-lost", e.controlPlaneLost},
		{"all-lost", e.allLost},
	} {
		if !t.Run(part.name, part.run) {
			return
		}
	}
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

type elsewhere struct {
	*etcdDay
	identity string // the file with the private key of the snapshot
	ca, pods string
}

// save takes a snapshot, encrypted, outside of haplane's folder.
func (e *elsewhere) save(t *testing.T) {
	e.applyText(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: kept, namespace: default}\nstringData: {a: b}\n---\n"+held)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e.file, e.identity = filepath.Join(dir, "demo.tar.age"), filepath.Join(dir, "key.txt")
	if err := os.WriteFile(e.identity, []byte(key.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, 0, e.etcd("snapshot", "save", e.file, "--recipient", key.Recipient().String()))
	must(t, 0, e.Kubectl(background(t), "create", "configmap", "newer"))
	e.ca, e.pods = e.sameCA(t, ""), e.dns(t)
}

// dns are the pods of CoreDNS.
func (e *elsewhere) dns(t *testing.T) string {
	return e.Kubectl(background(t), "get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[*].metadata.uid}").Stdout
}

func (e *elsewhere) restored(t *testing.T, result rig.Result) {
	t.Helper()
	t.Log(result.Stderr, result.Stdout)
	contains(t, "outcome", result.Stdout, "first write acknowledged", "after the first machine was begun", "lost revisions: nobody can know")
	want(t, "newer data is there", e.Kubectl(background(t), "get", "configmap", "newer").Code == 0, false)
	want(t, "Secret of before", e.Kubectl(background(t), "get", "secret", "kept", "-o", "jsonpath={.data.a}").Stdout, "Yg==")
	want(t, "hold of endpoints", e.Kubectl(background(t), "get", "validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name").Stdout, "")
	e.sameCA(t, e.ca)
	for _, node := range kubeNodes {
		want(t, "certificate authority of "+node, strings.Fields(e.on(t, node, "sha256sum /etc/kubernetes/pki/ca.crt"))[0], e.ca)
	}
	must(t, 0, e.Kubectl(background(t), "create", "namespace", "again")) // which controllers fill, and empty
	must(t, 0, e.Kubectl(background(t), "wait", "--for=create", "serviceaccount/default", "-n", "again", "--timeout=30s"))
	must(t, 0, e.Kubectl(background(t), "delete", "namespace", "again", "--timeout=60s"))
	e.wellAgain(t)
	for _, node := range e.controlPlane {
		want(t, "folders beside the data of "+node, e.on(t, node, "ls /var/lib/etcd"), "member")
	}
}

func (e *elsewhere) restore(args ...string) rig.Result {
	return e.Run(interrupted, append([]string{"etcd", "restore", e.file, "--identity", e.identity}, args...)...)
}

func (e *elsewhere) controlPlaneLost(t *testing.T) {
	for _, node := range e.controlPlane {
		if _, err := e.Provider().Remove(background(t), node); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, "recover", must(t, 1, e.etcd("recover", "--yes")).Stderr, "there is no data to go on with", "haplane etcd restore FILE")
	result := must(t, 0, e.restore("--cluster", e.Name, "--yes"))
	contains(t, "what it says before it begins", result.Stderr, "cp-1, cp-2, cp-3 are made anew", "nobody could tell which revision the cluster had last")
	e.restored(t, result)
	want(t, "pods of before", e.dns(t), e.pods)
}

func (e *elsewhere) allLost(t *testing.T) {
	must(t, 0, e.Down(background(t)))
	contains(t, "without the key", must(t, 2, e.Run(background(t), "etcd", "restore", e.file, "--yes")).Stderr, "it is encrypted", "--identity")
	contains(t, "under another name", must(t, 2, e.restore("--cluster", "blue", "--yes")).Stderr, "it is of cluster "+e.Name)
	contains(t, "nobody to ask", must(t, 2, e.restore()).Stderr, "--yes does not ask")
	if _, err := os.Stat(filepath.Join(e.Store(), "record.json")); err == nil {
		t.Error("a record is left of a restore that was not agreed to")
	}
	result := must(t, 0, e.restore("--yes"))
	contains(t, "what it says before it begins", result.Stderr, "is not on record here", "cp-1, cp-2, cp-3, worker-1, lb-1 are made anew")
	e.restored(t, result)
}
