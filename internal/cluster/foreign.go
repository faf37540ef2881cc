package cluster

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A stranger is a file that lies where a certificate of ours belongs and is to be replaced, and is of somebody else, or may be.
type stranger struct{ Path, What string }

// foreigners are, by node, the certificates that lie where ones of ours belong, are to be replaced, and were signed by no authority
// that the cluster has: somebody put them there. Of what cannot be read nobody knows whose it is. A machine that cannot be asked tells of none.
func (l *live) foreigners(ctx context.Context) map[string][]stranger {
	var nodes []topology.Node
	replaced := map[string][]string{}
	for _, n := range l.topology.Nodes {
		if files := l.replacedCertificates(n); len(files) > 0 {
			nodes, replaced[n.Name] = append(nodes, n), files
		}
	}
	authorities := authoritiesOf(l.keys)
	found, _ := gather(ctx, nodes, func(ctx context.Context, n topology.Node) (out []stranger, _ error) {
		seen, err := look.Certificates(ctx, l.reach(n.Name))
		var unreadable *look.UnreadableError
		if errors.As(err, &unreadable) {
			for _, f := range unreadable.Files {
				if slices.Contains(replaced[n.Name], f.Path) {
					out = append(out, stranger{f.Path, fmt.Sprintf("cannot be read as a certificate (%s)", f.Reason)})
				}
			}
		} else if err != nil {
			l.Log.Warn("certificates not seen", "node", n.Name, "err", err)
			return nil, nil
		}
		for _, c := range seen {
			place := (c.Part == "" || c.Part == "client-certificate-data") && slices.Contains(replaced[n.Name], c.Path)
			if place && !authorities[cmp.Or(c.Authority, c.Issuer)] {
				out = append(out, stranger{c.Path, fmt.Sprintf("has a certificate that no authority of this cluster has signed (issuer %s, serial %s)", c.Issuer, c.Serial)})
			}
		}
		return out, nil
	})
	maps.DeleteFunc(found, func(_ string, list []stranger) bool { return len(list) == 0 })
	return found
}

// replacedCertificates are the files with certificates that a machine has and that are to have another content. Those of a
// node that is made anew go with its machine.
func (l *live) replacedCertificates(n topology.Node) []string {
	seen := l.seen.Machines[n.Name]
	stays := func(o change.Node) bool { return o.Name == n.Name && o.State == change.Active }
	if !seen.Reachable || slices.Contains(l.Replace, n.Name) || !slices.ContainsFunc(l.nodes, stays) || n.Role == spec.RoleLoadBalancer {
		return nil
	}
	var out []string
	for _, path := range l.rendered[n.Name].Files.Stale(seen.Files).Paths() {
		_, there := seen.Files[path]
		leaf := strings.HasSuffix(path, ".crt") && !strings.HasSuffix(path, "ca.crt")
		if there && (leaf || strings.HasSuffix(path, ".conf") && strings.HasPrefix(path, topology.KubernetesDir+"/")) {
			out = append(out, path)
		}
	}
	return out
}

// authoritiesOf are the identifiers of the keys of all authorities, of each generation, and their names.
func authoritiesOf(keys pki.Bundle) map[string]bool {
	out := map[string]bool{}
	for _, name := range []string{pki.CA, pki.EtcdCA, pki.FrontProxyCA} {
		for _, block := range pki.Blocks(keys.Trusted(name)) {
			if cert, err := pki.ParseCertificate(block); err == nil {
				out[hex.EncodeToString(cert.SubjectKeyId)], out[cert.Subject.String()] = true, true
			}
		}
	}
	return out
}

// foreignWarnings say what becomes of such files.
func (l *live) foreignWarnings() []string {
	var out []string
	for _, node := range slices.Sorted(maps.Keys(l.foreign)) {
		for _, f := range l.foreign[node] {
			out = append(out, fmt.Sprintf("%s:%s %s: the cluster's own takes its place, and the file is kept as %s.foreign beside it, with its key",
				node, f.Path, f.What, f.Path))
		}
	}
	return out
}

// foreignPaths are those files.
func (l *live) foreignPaths() map[string][]string {
	out := map[string][]string{}
	for node, list := range l.foreign {
		for _, f := range list {
			if !slices.Contains(out[node], f.Path) {
				out[node] = append(out[node], f.Path)
			}
		}
	}
	return out
}
