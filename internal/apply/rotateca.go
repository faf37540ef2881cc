package apply

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// A tlsServer is asked by TLS: what it serves, and whose clients it accepts.
type tlsServer struct {
	what string // such as kubelet
	name string // under which it is asked
	port uint16
}

func apiServersOf(r *Runner) map[tlsServer][]topology.Node {
	return map[tlsServer][]topology.Node{{"API server", topology.KubernetesName, topology.APIServerPort}: r.Cluster.Topology.ControlPlane()}
}

func kubernetesServers(r *Runner) map[tlsServer][]topology.Node {
	out := apiServersOf(r)
	out[tlsServer{"kubelet", "", topology.KubeletPort}] = r.Cluster.Topology.KubeletNodes()
	return out
}

func etcdForClients(r *Runner) map[tlsServer][]topology.Node {
	return map[tlsServer][]topology.Node{{"etcd for clients", "", topology.EtcdClientPort}: r.Cluster.Topology.EtcdMembers()}
}

func etcdServers(r *Runner) map[tlsServer][]topology.Node {
	out := etcdForClients(r)
	out[tlsServer{"etcd for members", "", topology.EtcdPeerPort}] = r.Cluster.Topology.EtcdMembers()
	return out
}

// ask asks all servers at once; judge says what of an answer is in the way.
func (r *Runner) ask(ctx context.Context, servers map[tlsServer][]topology.Node, judge func(served []*x509.Certificate, accepts [][]byte) string) error {
	var what []string
	for s, nodes := range servers {
		err := each(nodes, func(n topology.Node) []string {
			ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
			defer cancel()
			served, accepts, err := kubeapi.Handshake(ctx, netip.AddrPortFrom(n.Address, s.port).String(), s.name)
			if err != nil {
				return []string{fmt.Sprintf("%s: %s: %v", n.Name, s.what, err)}
			}
			if wrong := judge(served, accepts); wrong != "" {
				return []string{fmt.Sprintf("%s: %s %s", n.Name, s.what, wrong)}
			}
			return nil
		})
		if err != nil {
			what = append(what, err.(*BlockedError).What...)
		}
	}
	return blocked(what)
}

// accept wants all servers to take clients of an authority, or not to.
func (r *Runner) accept(ctx context.Context, servers map[tlsServer][]topology.Node, authority []byte, wanted bool) error {
	ca, err := pki.ParseCertificate(authority)
	if err != nil {
		return err
	}
	return r.ask(ctx, servers, func(_ []*x509.Certificate, accepts [][]byte) string {
		does := slices.ContainsFunc(accepts, func(subject []byte) bool { return bytes.Equal(subject, ca.RawSubject) })
		switch {
		case wanted && !does:
			return "does not accept clients of " + ca.Subject.String() + " yet"
		case !wanted && does:
			return "accepts clients of " + ca.Subject.String() + " still"
		}
		return ""
	})
}

// serve wants all servers to have a certificate of the next authority.
func (r *Runner) serve(ctx context.Context, servers map[tlsServer][]topology.Node) error {
	ca, err := pki.ParseCertificate(r.Rotation.Next.Cert)
	if err != nil {
		return err
	}
	return r.ask(ctx, servers, func(served []*x509.Certificate, _ [][]byte) string {
		if served[0].CheckSignatureFrom(ca) != nil {
			return "serves a certificate of " + served[0].Issuer.String() + " still"
		}
		return ""
	})
}

// lead wants who trusts the old authority alone to verify servers, where it vouches for the next one.
func (r *Runner) lead(ctx context.Context, servers map[tlsServer][]topology.Node) error {
	if len(r.Rotation.Cross) == 0 {
		return nil
	}
	return r.ask(ctx, servers, func(served []*x509.Certificate, _ [][]byte) string {
		if err := pki.Leads(pki.Text(served), r.Rotation.Old.Cert, time.Now()); err != nil {
			return "serves what nobody takes who trusts the old authority alone: " + err.Error()
		}
		return ""
	})
}

// alone wants servers to have nothing of the old authority behind their certificates any more.
func (r *Runner) alone(ctx context.Context, servers map[tlsServer][]topology.Node) error {
	old, err := pki.ParseCertificate(r.Rotation.Old.Cert)
	if err != nil {
		return err
	}
	return r.ask(ctx, servers, func(served []*x509.Certificate, _ [][]byte) string {
		if slices.ContainsFunc(served, func(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, old.RawSubject) }) {
			return "serves a certificate of " + old.Subject.String() + " still"
		}
		return ""
	})
}

func trustedCA(ctx context.Context, r *Runner) error {
	if err := r.accept(ctx, kubernetesServers(r), r.Rotation.Next.Cert, true); err != nil {
		return err
	}
	if err := r.bundles(ctx, r.Rotation.Next.Cert); err != nil {
		return err
	}
	return r.mounted(ctx)
}

func switchedCA(ctx context.Context, r *Runner) error {
	if err := r.serve(ctx, kubernetesServers(r)); err != nil {
		return err
	}
	return r.lead(ctx, apiServersOf(r))
}

func unusedCA(ctx context.Context, r *Runner) error {
	if err := r.serve(ctx, kubernetesServers(r)); err != nil {
		return err
	}
	return r.outside(r.noOutsiders(ctx))
}

// outside marks an error of who comes from outside, or leaves it out where that is wanted.
func (r *Runner) outside(err error) error {
	if blocked, is := err.(*BlockedError); is {
		if r.Rotation.IgnoreOutside {
			return nil
		}
		blocked.Outside = true
	}
	return err
}

func droppedCA(ctx context.Context, r *Runner) error {
	if err := r.accept(ctx, kubernetesServers(r), r.Rotation.Old.Cert, false); err != nil {
		return err
	}
	if err := r.alone(ctx, apiServersOf(r)); err != nil {
		return err
	}
	if err := r.noOldBundles(ctx); err != nil {
		return err
	}
	return r.withdraw(ctx, r.Rotation.Old.Cert)
}

func trustedEtcdCA(ctx context.Context, r *Runner) error {
	return r.accept(ctx, etcdServers(r), r.Rotation.Next.Cert, true)
}

func switchedEtcdCA(ctx context.Context, r *Runner) error {
	if err := r.serve(ctx, etcdServers(r)); err != nil {
		return err
	}
	return r.lead(ctx, etcdForClients(r))
}

func unusedEtcdCA(ctx context.Context, r *Runner) error {
	if err := r.serve(ctx, etcdServers(r)); err != nil {
		return err
	}
	return r.outside(r.noEtcdOutsiders(ctx))
}

func droppedEtcdCA(ctx context.Context, r *Runner) error {
	if err := r.accept(ctx, etcdServers(r), r.Rotation.Old.Cert, false); err != nil {
		return err
	}
	return r.alone(ctx, etcdForClients(r))
}

func trustedFrontProxyCA(ctx context.Context, r *Runner) error {
	if err := r.accept(ctx, apiServersOf(r), r.Rotation.Next.Cert, true); err != nil {
		return err
	}
	return r.published(ctx, "requestheader-client-ca-file")
}

func droppedFrontProxyCA(ctx context.Context, r *Runner) error {
	return r.withdraw(ctx, r.Rotation.Old.Cert)
}

// published wants the ConfigMap by which aggregated API servers verify the others to have the next authority.
func (r *Runner) published(ctx context.Context, key string) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	bundle, err := client.PublishedAuthority(ctx, key)
	if err != nil {
		return err
	}
	if !pki.Contains(bundle, r.Rotation.Next.Cert) {
		return blocked([]string{"ConfigMap kube-system/extension-apiserver-authentication does not have the new authority yet"})
	}
	return nil
}

// withdraw takes an authority out of that ConfigMap: API servers add to it, and leave what is there until it ends. One that has not read
// its files again yet would add the authority anew, whenever it writes. So none may accept clients of it any more: what an API server
// publishes and whom it accepts come from one copy of its files in memory, and the latter is later. A write that was under way is of an older
// version of the object, and refused.
func (r *Runner) withdraw(ctx context.Context, authority []byte) error {
	if err := r.accept(ctx, apiServersOf(r), authority, false); err != nil {
		return err
	}
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	key := publishedKeys[r.Rotation.Name]
	if err := client.UnpublishAuthority(ctx, key, authority); err != nil {
		return err
	}
	bundle, err := client.PublishedAuthority(ctx, key)
	if err == nil && pki.Contains(bundle, authority) {
		err = blocked([]string{"ConfigMap kube-system/extension-apiserver-authentication has the authority again: somebody has added it"})
	}
	return err
}

// publishedKeys are where API servers publish authorities.
var publishedKeys = map[string]string{pki.RotateCA: "client-ca-file", pki.RotateFrontProxyCA: "requestheader-client-ca-file"}

// unpublish takes a next authority out of there that nobody trusts any more: the rotation was taken back.
func unpublish(ctx context.Context, r *Runner, s change.Step) error {
	if r.Rotation == nil {
		return nil
	}
	return r.prove(ctx, s, func(ctx context.Context) error { return r.withdraw(ctx, r.Rotation.Next.Cert) })
}

// bundles wants what carries our authority in the API to have the next one too.
func (r *Runner) bundles(ctx context.Context, next []byte) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	all, err := client.Bundles(ctx)
	if err != nil {
		return err
	}
	var what []string
	for _, b := range all {
		switch {
		case pki.Contains(b.PEM, next):
		case b.Own || pki.Contains(b.PEM, r.Rotation.Old.Cert):
			what = append(what, b.Object+" does not have the new authority")
		}
	}
	if err := blocked(what); err != nil {
		return err
	}
	return r.published(ctx, "client-ca-file")
}

// noOldBundles wants what Kubernetes gives to pods to have the next authority alone.
func (r *Runner) noOldBundles(ctx context.Context) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	all, err := client.Bundles(ctx)
	if err != nil {
		return err
	}
	var what []string
	for _, b := range all {
		if b.Own && pki.Contains(b.PEM, r.Rotation.Old.Cert) {
			what = append(what, b.Object+" has the old authority still")
		}
	}
	return blocked(what)
}

// mountedScript prints the files in volumes of pods that have one line and lack another: kubelet brings them up to date.
const mountedScript = `cd /var/lib/kubelet/pods 2>/dev/null || exit 0
find . -type f \( -path './*/volumes/kubernetes.io~projected/*' -o -path './*/volumes/kubernetes.io~configmap/*' -o -path './*/volumes/kubernetes.io~secret/*' \) -exec grep -lF -- "$1" {} + 2>/dev/null | while read -r f; do
	grep -qF -- "$2" "$f" || echo "$f"
done
`

// mounted wants the bundles that are mounted in pods to have the next authority where they have the old one.
func (r *Runner) mounted(ctx context.Context) error {
	pods, err := r.podNames(ctx)
	if err != nil {
		return err
	}
	return each(r.Cluster.Topology.KubeletNodes(), func(n topology.Node) []string {
		cmd := machine.Cmd("sh", "-s", "--", pki.Line(r.Rotation.Old.Cert), pki.Line(r.Rotation.Next.Cert))
		cmd.Stdin = strings.NewReader(mountedScript)
		result, err := r.Cluster.Machine(n.Name).Run(ctx, cmd)
		if err != nil {
			return []string{fmt.Sprintf("%s: %v", n.Name, err)}
		}
		var what []string
		for path := range strings.FieldsSeq(result.Stdout) {
			uid, file, _ := strings.Cut(strings.TrimPrefix(path, "./"), "/")
			if pod, ok := pods[uid]; ok { // else it has just gone
				what = append(what, fmt.Sprintf("%s: pod %s has the old authority alone in %s", n.Name, pod, file))
			}
		}
		return what
	})
}

// podNames are NAMESPACE/NAME of all pods by their UIDs.
func (r *Runner) podNames(ctx context.Context) (map[string]string, error) {
	client, err := r.Cluster.API()
	if err != nil {
		return nil, err
	}
	return client.PodNames(ctx)
}
