package cluster

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/program"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
)

// A ListedCertificate is one that lies on a node or in the record: in a file of its own or in a
// kubeconfig. Of a node that could not be looked at there is one entry, with Error.
type ListedCertificate struct {
	// Name is that of the certificate in docs/design.md; of one that haplane did not put there its
	// path, and of a node that could not be looked at *.
	Name   string `json:"name"`
	Node   string `json:"node"` // "" is the record: the folder pki of the cluster's store
	Serial string `json:"serial"`
	// NotAfter is when it ends; absent of a node that could not be looked at.
	NotAfter time.Time `json:"notAfter,omitempty,omitzero"`
	Issuer   string    `json:"issuer"`
	// Reload says who reads it, and what each takes to read another: by itself, reload or restart.
	Reload string `json:"reload"`
	Path   string `json:"path,omitempty"` // of the file
	// Part is what of a kubeconfig it is, and which certificate of a file that has several.
	Part    string `json:"part,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Served says of a kubelet's that it serves this one now: it was asked by TLS.
	Served bool   `json:"served,omitempty"`
	Note   string `json:"note,omitempty"`  // that it ends soon or has ended, or is not the one of the record
	Error  string `json:"error,omitempty"` // why the node, or the file, could not be looked at
}

// Certificates lists every certificate and kubeconfig of the record and of all nodes. A node
// that cannot be looked at is named with the reason.
func (h *Handle) Certificates(ctx context.Context) ([]ListedCertificate, error) {
	e := h.env
	if err := e.loadKeys(); err != nil {
		return nil, err
	}
	made, err := e.power()
	if err != nil {
		return nil, err
	}
	if err := e.connect(); err != nil {
		return nil, err
	}
	defer e.close()
	now := time.Now()
	out := e.recorded(now)
	rendered := render.Render(e.input())
	seen, _ := gather(ctx, e.topology.Nodes, func(ctx context.Context, n topology.Node) ([]ListedCertificate, error) {
		running, there := made[n.Name]
		list, err := e.onNode(ctx, n, rendered[n.Name], now, there, running)
		if err != nil {
			return []ListedCertificate{{Name: "*", Node: n.Name, Error: err.Error()}}, nil
		}
		return list, nil
	})
	for _, n := range e.topology.Nodes {
		out = append(out, seen[n.Name]...)
	}
	return out, ctx.Err()
}

// recorded are those of the record.
func (e *env) recorded(now time.Time) []ListedCertificate {
	out := []ListedCertificate{}
	for _, row := range e.rows {
		one := ListedCertificate{Name: row.Name, Path: path.Join("pki", row.Name+".crt"), Reload: "haplane: when it runs"}
		cert, err := pki.ParseCertificate(e.keys.Pairs[row.Name].Cert)
		if err != nil {
			one.Error = err.Error()
		} else {
			one.Serial, one.NotAfter = cert.SerialNumber.Text(16), cert.NotAfter
			one.Subject, one.Issuer, one.Note = cert.Subject.String(), cert.Issuer.String(), ending(cert.NotAfter, now)
		}
		out = append(out, one)
	}
	return out
}

func (e *env) onNode(ctx context.Context, n topology.Node, m render.Machine, now time.Time, made, running bool) ([]ListedCertificate, error) {
	switch {
	case !made:
		return nil, fmt.Errorf("its machine is gone")
	case !running:
		return nil, fmt.Errorf("its machine is off")
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	certificates, err := look.Certificates(ctx, e.machine(n))
	var out []ListedCertificate
	var unreadable *look.UnreadableError
	if err != nil && !errors.As(err, &unreadable) {
		return nil, err
	}
	for _, c := range certificates {
		if !look.Superseded(c.Path) {
			out = append(out, e.listed(n, m, c, now))
		}
	}
	if e.topology.RunsKubelet(n) {
		served, _, err := kubeapi.Handshake(ctx, netip.AddrPortFrom(n.Address, topology.KubeletPort).String(), "")
		markServed(out, n.Name, served, err)
	}
	if unreadable != nil {
		for _, f := range unreadable.Files {
			out = append(out, ListedCertificate{Name: cmp.Or(m.Certificates[f.Path], f.Path), Node: n.Name, Path: f.Path, Error: f.Reason})
		}
	}
	slices.SortStableFunc(out, func(a, b ListedCertificate) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// markServed says which of its certificates a kubelet serves, or that it serves none of them.
func markServed(list []ListedCertificate, node string, served []*x509.Certificate, err error) {
	var last *ListedCertificate
	for i := range list {
		if list[i].Name != pki.Kubelet(node) {
			continue
		}
		if last = &list[i]; err == nil && last.Serial == served[0].SerialNumber.Text(16) {
			last.Served = true
			return
		}
	}
	if last == nil {
		return
	}
	note := "what the kubelet serves is not known: "
	if err != nil {
		note += err.Error()
	} else {
		note = "the kubelet serves another: serial " + served[0].SerialNumber.Text(16)
	}
	last.Note = strings.TrimPrefix(last.Note+"; "+note, "; ")
}

func (e *env) listed(n topology.Node, m render.Machine, c look.Certificate, now time.Time) ListedCertificate {
	one := ListedCertificate{Name: m.Certificates[c.Path], Node: n.Name, Serial: c.Serial, NotAfter: c.NotAfter, Issuer: c.Issuer,
		Reload: reload(m, c.Path), Path: c.Path, Part: c.Part, Subject: c.Subject, Note: ending(c.NotAfter, now)}
	switch {
	case look.KubeletServes(c.Path):
		one.Name, one.Reload = pki.Kubelet(n.Name), "kubelet: by itself, which renews it too"
		return one
	case look.KubeletsOwn(c.Path):
		one.Name, one.Reload = pki.KubeletClient(n.Name), "kubelet: by itself, which renews it too"
		return one
	case strings.HasPrefix(c.Part, "certificate-authority"):
		one.Name = pki.CA
	case one.Name == "":
		one.Name, one.Note = c.Path, cmp.Or(one.Note, "haplane did not put it there")
		return one
	}
	if !slices.ContainsFunc(pki.Blocks(e.keys.FileOf(one.Name)), func(b []byte) bool { return pki.SHA256(b) == c.Fingerprint }) {
		one.Note = strings.TrimPrefix(one.Note+"; ", "; ") + "not the one of the record"
	}
	return one
}

// ending says of a certificate that it has ended or ends soon.
func ending(notAfter, now time.Time) string {
	if notAfter.Sub(now) > expiryWarning {
		return ""
	}
	return pki.Expiry{NotAfter: notAfter}.When(now)
}

// reload says who reads a file, and what each takes to read it again.
func reload(m render.Machine, file string) string {
	var out []string
	for _, u := range m.Units {
		switch {
		case slices.Contains(u.Self, file):
			out = append(out, u.Name+": by itself")
		case slices.Contains(u.Files, file) && u.OnChange == program.Reload:
			out = append(out, u.Name+": reload")
		case slices.Contains(u.Files, file):
			out = append(out, u.Name+": restart")
		}
	}
	return cmp.Or(strings.Join(out, ", "), "no program that goes on running reads it")
}
