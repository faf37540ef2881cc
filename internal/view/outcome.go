package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/haplane/haplane/internal/cluster"
)

// Outcome writes what requests saw while a cluster changed, and the certificates that
// changed on its nodes.
func Outcome(w io.Writer, o *cluster.Outcome) {
	restored(w, o.Restored)
	switch {
	case o.Report == nil:
	case len(o.Report.Lanes) == 0:
		fmt.Fprintf(w, "not measured: %s\n", strings.Join(o.Report.Errors, "; "))
	default:
		_ = Probe(w, *o.Report)
		fmt.Fprintln(w)
	}
	if !o.Compared { // it did not come to that
		return
	}
	changedCertificates(w, o)
	if len(o.CertificatesUnread) > 0 {
		fmt.Fprintf(w, "certificates: could not be read, before or after, on %s\n", strings.Join(o.CertificatesUnread, ", "))
	}
	switch {
	case !o.XRayed:
		fmt.Fprintln(w, "x-ray: none of before and after")
	case len(o.NewFailures) == 0:
		fmt.Fprintln(w, "x-ray: no new failure")
	default:
		fmt.Fprintf(w, "x-ray: %d new failures\n", len(o.NewFailures))
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
