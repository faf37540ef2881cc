package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/store"
)

func (a *app) certsCSR() *cobra.Command {
	dir := "."
	cmd := &cobra.Command{
		Use:   "csr [NAME...]",
		Short: "Write certificate signing requests, for an authority whose key is elsewhere",
		Long: `Makes new keys, which stay in the cluster's folder, and writes a request for each to
DIR/NAME.csr: for all certificates but the authorities', or the named ones. Names and usages
are in the requests; sign them with these, such as by

  openssl x509 -req -in NAME.csr -CA ca.crt -CAkey ca.key -copy_extensions copyall -days 365

The cluster is not touched. A key that waits for its signature is kept, so that the command can
be repeated.`,
		Example: `  haplane certs csr -o requests
  haplane certs csr apiserver scheduler -o requests`,
		ValidArgsFunction: a.completeLeaves,
		RunE: func(_ *cobra.Command, given []string) error {
			h, err := a.open()
			if err != nil {
				return err
			}
			names, err := h.LeafNames(given)
			if err != nil {
				return usageError{err}
			}
			requests, err := h.SigningRequests(names)
			if err != nil {
				return err
			}
			for _, r := range requests {
				file := filepath.Join(dir, filepath.FromSlash(r.Name)+".csr")
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, r.Request, 0o644)); err != nil {
					return fmt.Errorf("write request: %w", err)
				}
				fmt.Fprintf(a.Out, "%s: to be signed by %s\n", file, r.Authority)
			}
			return nil
		},
	}
	a.addClusterFlag(cmd)
	cmd.Flags().StringVarP(&dir, "output", "o", dir, "folder for the requests")
	addYes(cmd)
	return cmd
}

func (a *app) certsImport() *cobra.Command {
	var f *changeFlags
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Bring certificates that were signed elsewhere to the nodes",
		Long: `Takes certificates that haplane certs csr has asked for, in PEM, one a file or all files of
a folder that end in .crt or .pem. Each is checked before anything is touched: its key, subject, names and usages, and
that the very authority has signed it which signs for its name. A server's may have names beyond those that were asked for,
unless they are of a node or of another certificate. Then they are brought to the nodes as haplane certs renew does. Those
that haplane up, apply, node add or etcd restore has asked for are kept until that is run again.`,
		Example: `  haplane certs import signed
  haplane certs import apiserver.crt scheduler.crt --yes`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			files, err := certificateFiles(args)
			if err != nil {
				return err
			}
			h, err := a.find() // the plan tells of a change that was cut off
			if errors.Is(err, store.ErrNoCluster) || err == nil && !h.Whole() {
				return a.keepSigned(files, err)
			}
			if err != nil {
				return err
			}
			q, later, err := h.ImportCertificates(files)
			if err != nil {
				return err
			}
			if a.kept(later); len(q.Renew) == 0 {
				return nil
			}
			return a.runChange(cmd, "certs-import", q, f)
		},
	}
	f = a.addChangeFlags(cmd)
	return cmd
}

// keepSigned keeps certificates for a cluster that is not up yet, and waits for them; none is what is wrong where nothing waits.
func (a *app) keepSigned(files map[string][]byte, none error) error {
	s, err := store.Open(a.cluster)
	if err != nil {
		return err
	}
	if requests, _, _, err := s.Requests(); err != nil || len(requests) == 0 && none != nil {
		return errors.Join(err, none)
	}
	names, err := cluster.KeepSigned(s, files)
	a.kept(names)
	return err
}

// kept tells of certificates that are for a change which has not begun.
func (a *app) kept(names []string) {
	if len(names) > 0 {
		fmt.Fprintf(a.Out, "kept for the command that had them signed; run that again: %s\n", strings.Join(names, ", "))
	}
}

// certificateFiles reads files, and those of folders that are certificates by their names.
func certificateFiles(args []string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, arg := range args {
		before := len(out)
		err := filepath.WalkDir(arg, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || file != arg && filepath.Ext(file) != ".crt" && filepath.Ext(file) != ".pem" {
				return err
			}
			out[file], err = os.ReadFile(file)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		if len(out) == before {
			return nil, usageError{fmt.Errorf("%s has no file that ends in .crt or .pem", arg)}
		}
	}
	return out, nil
}
