package view

import (
	"fmt"
	"io"
	"path"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/kubeapi"
)

// Plan writes what a run would do.
func Plan(w io.Writer, p *cluster.Plan) {
	fmt.Fprintln(w, "PHASES")
	for _, phase := range p.Phases {
		fmt.Fprintf(w, "  %-22s %s\n", phase.ID, state(phase))
	}
	fmt.Fprintf(w, "\nKEYS AND CERTIFICATES TO MAKE: %d\n", len(p.Keys))
	for _, r := range p.Reissue {
		fmt.Fprintf(w, "  %-30s %s\n", r.Name, r.Reason)
	}
	fmt.Fprintf(w, "\nFILES TO WRITE: %d\n", len(p.Files))
	for _, f := range p.Files {
		fmt.Fprintf(w, "  %s %s:%s\n", word(f.New, "new    ", "changed"), f.Node, f.Path)
		if f.Diff != "" {
			fmt.Fprint(w, f.Diff)
		}
	}
	fmt.Fprintf(w, "\nOBJECTS TO APPLY: %d\n", len(p.Objects))
	for _, o := range p.Objects {
		fmt.Fprintf(w, "  %s %s %s\n", word(o.Change == kubeapi.Created, "new    ", "changed"), o.Kind, path.Join(o.Namespace, o.Name))
	}
	if p.Nothing() {
		fmt.Fprintln(w, "\nnothing to do")
	}
}

func state(p cluster.PlannedPhase) string {
	switch {
	case p.Done:
		return "nothing to do"
	case p.Looks:
		return "to run"
	}
	return "always runs"
}
