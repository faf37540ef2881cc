package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
)

// A Rotation is what the proofs of its phases are about.
type Rotation struct {
	Name      string // as the user gives it
	Old, Next pki.Pair
	// Cross is what the old authority vouches by for the next one, in PEM; nil where there is nothing.
	Cross []byte
	// Trusted is when trust in the next one had been proved; zero before, and where nobody knows.
	Trusted time.Time
	// Retired are client certificates that were haplane's own until they were made anew, by their SHA-256, with when that had been
	// carried out; zero before.
	Retired map[string]time.Time
	// Unseen is what nobody could look at of who uses the old one, once Unused has looked.
	Unseen []string
	// Switched is when the old one had ceased to sign; zero before.
	Switched time.Time
	// Until is when the last token ends that the old key has signed, once proveSwitch has looked.
	Until time.Time
	// Told are the tokens of the old key of which audit logs told when a phase was proved, by what they are, with when each ends; zero where
	// nobody knows that it does. The logs are rotated, and go with their machines; the tokens do not.
	Told map[string]time.Time
	// Gone are nodes whose audit log went with their machine since the rotation began, with when that was.
	Gone map[string]time.Time
	// IgnoreOutside leaves out who comes from outside of the cluster, and tokens of which an audit log alone tells.
	IgnoreOutside bool
}

// proofTimeout is how long what follows by itself may take: kubelet brings a bundle into pods within two minutes,
// and programs that read a file again by themselves do so within one.
const (
	proofTimeout = 4 * time.Minute
	proveEvery   = time.Second
)

// proofs are what is seen to in the phases, beside that each machine has its files and each program runs with them.
var proofs = map[string]struct {
	trusted, switched, unused, dropped func(context.Context, *Runner) error
}{
	pki.RotateCA:             {trustedCA, switchedCA, unusedCA, droppedCA},
	pki.RotateEtcdCA:         {trustedEtcdCA, switchedEtcdCA, unusedEtcdCA, droppedEtcdCA},
	pki.RotateFrontProxyCA:   {trustedFrontProxyCA, none, none, droppedFrontProxyCA},
	pki.RotateServiceAccount: {keyVerifies, keySigns, noOldTokens, keyServed},
	pki.RotateEncryption:     {none, secretsRewritten, secretsRewritten, secretsRewritten},
}

func none(context.Context, *Runner) error { return nil }

func proveTrust(ctx context.Context, r *Runner, s change.Step) error {
	return r.prove(ctx, s, r.everyNode, r.of(proofs[r.Rotation.Name].trusted))
}

func proveSwitch(ctx context.Context, r *Runner, s change.Step) error {
	return r.prove(ctx, s, r.everyNode, r.noOldCertificates, r.of(proofs[r.Rotation.Name].switched))
}

// proveUnused is asked before a machine is touched: they are as the phase before has left them.
func proveUnused(ctx context.Context, r *Runner, s change.Step) error {
	if err := r.untilRead(ctx); err != nil {
		return err
	}
	return r.prove(ctx, s, r.of(proofs[r.Rotation.Name].unused))
}

func proveDrop(ctx context.Context, r *Runner, s change.Step) error {
	return r.prove(ctx, s, r.everyNode, r.of(proofs[r.Rotation.Name].dropped))
}

// Unused says what in use comes from the old generation still; nil where nothing does.
func (r *Runner) Unused(ctx context.Context) error { return proofs[r.Rotation.Name].unused(ctx, r) }

// A BlockedError lists what stands in the way of a phase of a rotation.
type BlockedError struct {
	What []string
	// Until is when the last of it goes by itself; zero where it does not.
	Until time.Time
	// Outside says that it is clients from outside of the cluster.
	Outside bool
}

func (e *BlockedError) Error() string { return strings.Join(e.What, "\n") }

// blocked is an error of what is in the way, in order; nil where nothing is.
func blocked(what []string) error {
	if len(what) == 0 {
		return nil
	}
	slices.Sort(what)
	return &BlockedError{What: slices.Compact(what)}
}

// prove waits until all that a phase needs is seen, one after the other, and tells what is not.
func (r *Runner) prove(ctx context.Context, s change.Step, proofs ...func(context.Context) error) error {
	for _, proof := range proofs {
		var last error
		err := r.untilEvery(ctx, "", proveEvery, proofTimeout, func(ctx context.Context) error {
			last = proof(ctx)
			return last
		})
		if err != nil && ctx.Err() == nil && last != nil && !errors.Is(err, errStopped) {
			return last
		}
		if err != nil {
			return err
		}
	}
	r.detail(s, "seen on %d nodes", len(r.Desired))
	return nil
}

// of is a proof of this rotation.
func (r *Runner) of(proof func(context.Context, *Runner) error) func(context.Context) error {
	return func(ctx context.Context) error { return proof(ctx, r) }
}

// each calls fn for nodes at once and collects what it finds in the way.
func each(nodes []topology.Node, fn func(topology.Node) []string) error {
	var mu sync.Mutex
	var all sync.WaitGroup
	var what []string
	for _, n := range nodes {
		all.Go(func() {
			found := fn(n)
			mu.Lock()
			defer mu.Unlock()
			what = append(what, found...)
		})
	}
	all.Wait()
	return blocked(what)
}

// wantedNodes are those that are there when the change has ended.
func (r *Runner) wantedNodes() []topology.Node {
	var out []topology.Node
	for name := range r.Desired {
		out = append(out, r.Nodes[name])
	}
	return out
}

// everyNode compares what lies on each node, and what its programs were started with or have loaded,
// with what is wanted.
func (r *Runner) everyNode(ctx context.Context) error {
	return each(r.wantedNodes(), func(n topology.Node) []string {
		want, last := r.Last[n.Name] // the proofs come after it
		if !last {
			want = r.Desired[n.Name]
		}
		var seen observed.Machine
		if err := look.Machine(ctx, r.Cluster.Machine(n.Name), WantOf(want), &seen); err != nil {
			return []string{fmt.Sprintf("%s: %v", n.Name, err)}
		}
		var what []string
		for _, path := range want.Files.Stale(seen.Files).Paths() {
			what = append(what, fmt.Sprintf("%s: %s is another one", n.Name, path))
		}
		for _, u := range want.Units {
			if is := seen.Units[u.Name]; !is.Active || is.Config != u.Config || u.Load != "" && is.Loaded != u.Load {
				what = append(what, fmt.Sprintf("%s: %s does not run with what is on its machine", n.Name, u.Name))
			}
		}
		return what
	})
}

// noOldCertificates looks at every certificate on every node for one that the old authority has signed.
func (r *Runner) noOldCertificates(ctx context.Context) error {
	old, err := pki.ParseCertificate(r.Rotation.Old.Cert)
	if err != nil {
		return nil // what is rotated is no authority
	}
	subject, cross := old.Subject.String(), pki.SHA256(r.Rotation.Cross)
	return each(r.wantedNodes(), func(n topology.Node) []string {
		list, err := look.Certificates(ctx, r.Cluster.Machine(n.Name))
		var what []string
		if err != nil { // beside it, there is what could be read
			what = append(what, err.Error())
		}
		kubelets := false
		for _, c := range list {
			if c.Issuer == subject && c.Subject != subject && c.Fingerprint != cross {
				what = append(what, fmt.Sprintf("%s: %s %s (%s) is signed by the old authority", n.Name, c.Path, c.Part, c.Subject))
				kubelets = kubelets || look.KubeletsOwn(c.Path)
			}
		}
		if kubelets {
			if err := r.askAnew(ctx, n); err != nil {
				what = append(what, err.Error())
			}
		}
		return what
	})
}

// askAnew has a kubelet drop the certificates that it asked for itself, and begin with that of its kubeconfig: in
// its turn a controller manager may have signed the next one that had not been restarted yet.
func (r *Runner) askAnew(ctx context.Context, n topology.Node) error {
	m := r.Cluster.Machine(n.Name)
	if _, err := m.Run(ctx, machine.Cmd("sh", "-c", "rm -f "+topology.KubeletClients+" "+topology.KubeletServers)); err != nil {
		return fmt.Errorf("%s: drop the certificates that kubelet asked for: %w", n.Name, err)
	}
	return systemd.Restart(ctx, m, "kubelet")
}
