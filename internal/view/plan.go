package view

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/kubeapi"
)

// Plan writes what a run would do.
func Plan(w io.Writer, p *cluster.Plan) {
	if Steps(w, p); p.Nothing() {
		return
	}
	certificates(w, p)
	files(w, p)
	objects(w, p)
}

// Steps writes the steps of a change, each with its reason and, where it is about
// etcd, with the failures that are tolerated before and after.
func Steps(w io.Writer, p *cluster.Plan) {
	for _, warning := range p.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
	if p.Nothing() {
		fmt.Fprintln(w, "nothing to do")
		return
	}
	if e := p.Etcd; e != nil {
		fmt.Fprintf(w, "ETCD NOW: %s\n", tolerance(*e))
	}
	fmt.Fprintf(w, "STEPS: %d\n", len(p.Steps))
	for i, s := range p.Steps {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%4d  %-36s %s", i+1, s.ID, strings.Join(about(s), "; ")), " "))
		if s.Etcd != nil {
			fmt.Fprintf(w, "%42s etcd: %s -> %s\n", "", tolerance(s.Etcd.Before), tolerance(s.Etcd.After))
		}
	}
	fmt.Fprintln(w, certificatesLine(p))
}

// Asked writes what somebody says yes to: the steps, and the serials of certificates that are
// replaced.
func Asked(w io.Writer, p *cluster.Plan) {
	Steps(w, p)
	for _, c := range p.Reissue {
		if c.OldSerial != "" {
			fmt.Fprintf(w, "  %-30s serial %s -> %s\n", c.Name, c.OldSerial, c.NewSerial)
		}
	}
}

// many is how many reasons a step may have to be shown with all of them.
const many = 5

// about says what a step is about, shortly.
func about(s change.Step) []string {
	var out []string
	if len(s.Units) > 0 && s.Units[0] != "*" {
		units := strings.Join(s.Units, ", ")
		if s.Verb == change.SetBackends {
			units = "restarts " + units
		}
		out = append(out, units)
	}
	if len(s.Backends) > 0 && (s.Verb == change.SetBackends || s.Verb == change.CheckBalancer) {
		out = append(out, "to "+strings.Join(s.Backends, ", "))
	}
	if s.Verb == change.IssueCertificates && len(s.Why) > many {
		return append(out, fmt.Sprintf("%d certificates and keys", len(s.Why)))
	}
	for _, r := range s.Why {
		out = append(out, r.String())
	}
	return out
}

func tolerance(t change.Tolerance) string {
	text := fmt.Sprintf("%d voters", t.Voters)
	if t.Voters == 1 {
		text = "1 voter"
	}
	if t.Healthy != t.Voters {
		text += fmt.Sprintf(", %d healthy", t.Healthy)
	}
	return fmt.Sprintf("%s, tolerates %d", text, t.Tolerates)
}

// certificatesLine says aloud where none is reissued.
func certificatesLine(p *cluster.Plan) string {
	made := 0
	for _, r := range p.Reissue {
		if r.OldSerial == "" {
			made++
		}
	}
	line := "certificates reissued: none"
	if again := len(p.Reissue) - made; again > 0 {
		line = fmt.Sprintf("certificates reissued: %d", again)
	}
	if made > 0 {
		line += fmt.Sprintf("; keys and certificates made: %d", made)
	}
	return line
}

func certificates(w io.Writer, p *cluster.Plan) {
	fmt.Fprintf(w, "\nKEYS AND CERTIFICATES TO MAKE: %d\n", len(p.Reissue))
	for _, c := range p.Reissue {
		fmt.Fprintf(w, "  %-30s %s\n", c.Name, c.Reason)
		if c.OldSerial != "" {
			fmt.Fprintf(w, "  %-30s serial %s -> %s\n", "", c.OldSerial, c.NewSerial)
		}
	}
}

func files(w io.Writer, p *cluster.Plan) {
	removed := 0
	for _, f := range p.Files {
		if f.Removed {
			removed++
		}
	}
	fmt.Fprintf(w, "\nFILES TO WRITE: %d", len(p.Files)-removed)
	fmt.Fprintln(w, word(removed > 0, fmt.Sprintf(", TO REMOVE: %d", removed), ""))
	for _, f := range p.Files {
		kind := word(f.New, "new    ", "changed")
		if f.Removed {
			kind = "removed"
		}
		fmt.Fprintf(w, "  %s %s:%s\n", kind, f.Node, f.Path)
		if f.Diff != "" {
			fmt.Fprint(w, f.Diff)
		}
	}
}

func objects(w io.Writer, p *cluster.Plan) {
	fmt.Fprintf(w, "\nOBJECTS TO APPLY: %d\n", len(p.Objects))
	for _, o := range p.Objects {
		fmt.Fprintf(w, "  %s %s %s\n", word(o.Change == kubeapi.Created, "new    ", "changed"), o.Kind, path.Join(o.Namespace, o.Name))
	}
}
