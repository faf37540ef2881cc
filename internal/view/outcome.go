package view

import (
	"fmt"
	"io"

	"github.com/haplane/haplane/internal/cluster"
)

// Outcome writes what requests saw while a cluster changed, and the certificates that
// changed on its nodes.
func Outcome(w io.Writer, o *cluster.Outcome) {
	if o.Report != nil {
		_ = Probe(w, *o.Report)
		fmt.Fprintln(w)
	}
	if o.Compared {
		changedCertificates(w, o)
	}
}

func changedCertificates(w io.Writer, o *cluster.Outcome) {
	if len(o.Certificates) == 0 {
		fmt.Fprintf(w, "certificates: all %d on the nodes that stay are those from before\n", o.CertificatesKept)
		return
	}
	fmt.Fprintf(w, "certificates: %d changed on the nodes that stay, %d are those from before\n", len(o.Certificates), o.CertificatesKept)
	for _, c := range o.Certificates {
		part := c.Path
		if c.Part != "" {
			part += " (" + c.Part + ")"
		}
		fmt.Fprintf(w, "  %s:%s  %s -> %s\n", c.Node, part, short(c.Before.Fingerprint), short(c.After.Fingerprint))
	}
}

func short(fingerprint string) string {
	if fingerprint == "" {
		return "none"
	}
	return fingerprint[:min(16, len(fingerprint))]
}
