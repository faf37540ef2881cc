package view

import (
	"fmt"
	"io"

	"github.com/haplane/haplane/internal/cluster"
)

// Plan writes what a run would do.
func Plan(w io.Writer, p *cluster.Plan) {
	fmt.Fprintln(w, "PHASES")
	for _, phase := range p.Phases {
		fmt.Fprintf(w, "  %-22s %s\n", phase.ID, word(phase.Done, "nothing to do", "to run"))
	}
	fmt.Fprintf(w, "\nKEYS AND CERTIFICATES TO MAKE: %d\n", len(p.Keys))
	for _, name := range p.Keys {
		fmt.Fprintln(w, "  "+name)
	}
	fmt.Fprintf(w, "\nFILES TO WRITE: %d\n", len(p.Files))
	for _, f := range p.Files {
		fmt.Fprintf(w, "  %s %s:%s\n", word(f.New, "new    ", "changed"), f.Node, f.Path)
		if f.Diff != "" {
			fmt.Fprint(w, f.Diff)
		}
	}
}
