package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/semver"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// checkUpgrade finds all that stands in the way of an upgrade, before anything of the cluster is touched. One
// that was cut off goes on without: it may be what the cluster lacks.
func (l *live) checkUpgrade(ctx context.Context) error {
	if l.Upgrade == nil || l.Upgrade.goesOn || l.record.Change != nil {
		return nil
	}
	var problems []string
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, check := range []func(context.Context) []string{l.checkRotation, l.checkParts, l.checkCertificates, l.checkEtcd, l.checkEtcdVersion, l.checkKubelets, l.checkAPIs, l.checkRoom} {
		group.Go(func() {
			found := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, found...)
		})
	}
	group.Wait()
	if len(problems) == 0 {
		return ctx.Err()
	}
	slices.Sort(problems)
	return withHint(fmt.Errorf("cluster %s cannot go from %s to %s as it is:\n  %s", l.topology.Name, l.Upgrade.From, l.Upgrade.To, strings.Join(problems, "\n  ")),
		fmt.Sprintf("nothing was touched; haplane status --cluster %[1]s shows how it is, haplane up --cluster %[1]s mends what it can, haplane node replace makes a node anew", l.topology.Name))
}

// checkRotation wants no rotation to be under way: what it proves it reads on the machines.
func (l *live) checkRotation(context.Context) []string {
	r := l.record.Rotation
	if r == nil {
		return nil
	}
	return []string{fmt.Sprintf("the rotation of %s is under way, at %s; haplane certs rotate %s --cluster %s goes on with it first", r.Name, r.Phase, r.Name, l.topology.Name)}
}

// checkParts wants everything to do its part. On the way back it may be the newer version that does not: who is hurt goes first
// then, as far as that takes no quorum.
func (l *live) checkParts(context.Context) []string {
	if l.Upgrade.Down {
		return nil
	}
	var out []string
	for _, n := range l.topology.Nodes {
		m := l.seen.Machines[n.Name]
		switch {
		case !m.Running || !m.Reachable:
			out = append(out, fmt.Sprintf("the machine of %s does not answer", n.Name))
			continue
		case l.topology.RunsKubelet(n) && !l.seen.Nodes[n.Name].Ready:
			out = append(out, fmt.Sprintf("node %s is not Ready: %s", n.Name, l.seen.Nodes[n.Name].Reason))
		}
		if a, ok := l.seen.APIServers[n.Name]; ok && !a.Ready {
			out = append(out, fmt.Sprintf("the API server of %s is not ready: %s", n.Name, a.Error))
		}
		for _, u := range l.rendered[n.Name].Balancer().Units {
			if !m.Units[u.Name].Active {
				out = append(out, fmt.Sprintf("%s of %s does not run", u.Name, n.Name))
			}
		}
	}
	return out
}

// checkCertificates wants none to be missing or to end soon: an upgrade changes none.
func (l *live) checkCertificates(context.Context) []string {
	var out []string
	for _, r := range l.issues {
		out = append(out, fmt.Sprintf("certificate %s: %s; haplane up --cluster %s makes it first", r.Name, r.Reason, l.topology.Name))
	}
	return out
}

// checkEtcd wants all members healthy, without an alarm, and with room in their quota and here for a snapshot.
func (l *live) checkEtcd(ctx context.Context) []string {
	client, err := l.access().Etcd(l.members())
	if err != nil {
		return []string{err.Error()}
	}
	defer client.Close()
	endpoints := map[string]string{}
	for _, n := range l.members() {
		endpoints[n.Name] = n.EtcdClientURL()
	}
	var out []string
	for _, s := range client.Survey(ctx, endpoints).Members {
		out = append(out, memberProblems(s, l.Upgrade.Down)...)
		if free := freeBytes(l.Store.Dir); s.Leader && free < 2*s.DBSize {
			out = append(out, fmt.Sprintf("%s has room for %d MiB, and a snapshot of etcd takes up to %d", l.Store.Dir, free>>20, 2*s.DBSize>>20))
		}
	}
	return out
}

// checkEtcdVersion wants members of the next version to join those of now.
func (l *live) checkEtcdVersion(context.Context) []string {
	why := etcdSkew(programOf(l.Cache, l.record.Versions, "etcd"), programOf(l.Cache, l.Upgrade.Versions, "etcd"))
	if why == "" {
		return nil
	}
	return []string{why}
}

// fullEtcd is the part of its quota from which on a member has too little room for an upgrade, in percent.
const fullEtcd = 80

// memberProblems are those of a member; that it is hurt is none on the way back.
func memberProblems(s etcdapi.Status, back bool) []string {
	var out []string
	switch {
	case back:
	case s.Member.Learner:
		out = append(out, fmt.Sprintf("etcd member %s is a learner", s.Member.Name))
	case !s.Healthy:
		out = append(out, fmt.Sprintf("etcd member %s is not healthy: %s", s.Member.Name, s.Error))
	}
	for _, a := range s.Alarms {
		out = append(out, fmt.Sprintf("etcd member %s has raised the alarm %s", s.Member.Name, a.Kind))
	}
	if s.DBQuota > 0 && s.DBSize*100 > s.DBQuota*fullEtcd {
		out = append(out, fmt.Sprintf("etcd member %s has used %d of %d MiB", s.Member.Name, s.DBSize>>20, s.DBQuota>>20))
	}
	return out
}

// checkRoom wants room on each machine for the programs that are brought there (each lies there twice, once as what is used) and the
// container images that it lacks, wherever its disk has the one and the other.
func (l *live) checkRoom(ctx context.Context) []string {
	var programs int64
	for _, p := range l.changedPrograms() {
		if info, err := os.Stat(p.From); err == nil {
			programs += 2 * info.Size()
		}
	}
	need := map[string]int64{}
	var nodes []topology.Node
	for _, n := range l.topology.Nodes {
		need[n.Name] = programs + l.roomForImages(n)
		if m := l.seen.Machines[n.Name]; n.Role != spec.RoleLoadBalancer && need[n.Name] > 0 && m.Running && m.Reachable {
			nodes = append(nodes, n)
		}
	}
	found, err := gather(ctx, nodes, func(ctx context.Context, n topology.Node) (string, error) {
		where := []string{"/usr/local"}
		if l.topology.RunsKubelet(n) {
			where = append(where, topology.ContainerdDir)
		}
		result, err := l.reach(n.Name).Run(ctx, machine.Cmd(append([]string{"stat", "--file-system", "--format=%a %S"}, where...)...))
		return tooFull(result.Stdout, n.Name, need[n.Name]), err
	})
	out := slices.DeleteFunc(slices.Collect(maps.Values(found)), func(text string) bool { return text == "" })
	if err != nil {
		out = append(out, fmt.Sprintf("how much room machines have is not known: %v", err))
	}
	return out
}

// tooFull reads what stat says of file systems, each in a line: its free blocks, and the size of one. The fullest counts.
func tooFull(text, node string, need int64) string {
	free := int64(-1)
	for line := range strings.Lines(text) {
		var blocks, size int64
		if _, err := fmt.Sscan(line, &blocks, &size); err != nil {
			free = -1
			break
		}
		if free < 0 || blocks*size < free {
			free = blocks * size
		}
	}
	switch {
	case free < 0:
		return fmt.Sprintf("how much room %s has is not known: %q", node, strings.TrimSpace(text))
	case free < need:
		return fmt.Sprintf("%s has room for %d MiB, and what is brought there takes %d", node, free>>20, need>>20)
	}
	return ""
}

func freeBytes(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * s.Bsize
}

// oldestKubelet is how many minor versions a kubelet may be behind its API server.
const oldestKubelet = 3

// checkKubelets holds every kubelet against the skew that Kubernetes allows, those too that are none of ours.
func (l *live) checkKubelets(ctx context.Context) []string {
	if l.Upgrade.Down {
		return nil // those that are newer go first
	}
	client, err := l.api()
	if err != nil {
		return []string{err.Error()}
	}
	list, err := client.Typed().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return []string{fmt.Sprintf("the versions of the kubelets are not known: %v", err)}
	}
	var out []string
	for _, n := range list.Items {
		if problem := skew(n.Status.NodeInfo.KubeletVersion, l.Upgrade.To); problem != "" {
			out = append(out, fmt.Sprintf("the kubelet of %s %s", n.Name, problem))
		}
	}
	return out
}

func skew(kubelet, to string) string {
	switch {
	case !semver.IsValid(kubelet):
		return fmt.Sprintf("tells no version: %q", kubelet)
	case semver.Compare(semver.MajorMinor(kubelet), semver.MajorMinor(to)) > 0:
		return fmt.Sprintf("is %s, newer than API servers of %s", kubelet, to)
	case minor(kubelet) < minor(to)-oldestKubelet:
		return fmt.Sprintf("is %s, more than %d minor versions behind API servers of %s", kubelet, oldestKubelet, to)
	}
	return ""
}

// checkAPIs wants no client to have asked for an API that the new version does not have.
func (l *live) checkAPIs(ctx context.Context) []string {
	if l.Upgrade.Down { // the older one has all of them, and an API server that does not answer may be why one goes back
		return nil
	}
	found, err := gather(ctx, l.topology.ControlPlane(), func(ctx context.Context, n topology.Node) ([]string, error) {
		client, err := l.access().APIOf(n)
		if err != nil {
			return nil, err
		}
		apis, err := client.DeprecatedAPIs(ctx)
		return removedAPIs(n.Name, apis, l.Upgrade.To), err
	})
	var out []string
	for _, list := range found {
		out = append(out, list...)
	}
	if err != nil {
		out = append(out, fmt.Sprintf("which APIs clients ask for is not known: %v", err))
	}
	return out
}

// removedAPIs are those that clients have asked an API server for and that a version does not have. An API server knows of what it
// was asked for since it started.
func removedAPIs(node string, apis []kubeapi.DeprecatedAPI, to string) []string {
	var out []string
	for _, a := range apis {
		if minor("v"+a.Removed) <= minor(to) {
			out = append(out, fmt.Sprintf("clients have asked %s for %s, which v%s does not have any more; it forgets that when its kube-apiserver is restarted", node, a.Resource, a.Removed))
		}
	}
	return out
}
