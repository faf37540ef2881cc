package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/haplane/haplane/internal/cluster"
)

// Certificates writes a list of certificates as a table.
func Certificates(w io.Writer, list []cluster.ListedCertificate) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tNODE\tSERIAL\tNOT AFTER\tSIGNED BY\tREAD AGAIN\tFILE")
	unseen := []cluster.ListedCertificate{}
	for _, c := range list {
		node := cmp.Or(c.Node, "(record)")
		if c.Error != "" {
			unseen = append(unseen, c)
			continue
		}
		until := c.NotAfter.UTC().Format(time.DateOnly)
		if c.Note != "" {
			until += " (" + c.Note + ")"
		}
		reload := c.Reload
		if c.Served {
			reload = "served now; " + reload
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, node, c.Serial, until, c.Issuer, reload, strings.TrimSpace(c.Path+" "+c.Part))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range unseen {
		if c.Path != "" {
			fmt.Fprintf(w, "not readable: %s of %s: %s\n", c.Path, cmp.Or(c.Node, "the record"), c.Error)
			continue
		}
		fmt.Fprintf(w, "not seen: the certificates of %s: %s\n", c.Node, c.Error)
	}
	return nil
}
