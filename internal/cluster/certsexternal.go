package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/pki"
)

// An UnsignedError names certificates that have to be signed by who has the authorities' keys, before anything
// can be done. Nothing was touched.
type UnsignedError struct {
	Names    []string
	Requests []SigningRequest // once they are written
	env      *env
}

func (e *UnsignedError) Error() string {
	var w strings.Builder
	fmt.Fprintf(&w, "cluster %s: who has the authority's key has to sign first (spec.certificates.externalCA); nothing was touched:", e.env.topology.Name)
	for _, name := range e.Names {
		i := slices.IndexFunc(e.env.rows, func(r pki.Row) bool { return r.Name == name })
		fmt.Fprintf(&w, "\n%s, by %s", name, e.env.rows[i].CA)
		if r := slices.IndexFunc(e.Requests, func(r SigningRequest) bool { return r.Name == name }); r >= 0 {
			fmt.Fprintf(&w, ": %s", e.Requests[r].File)
		}
	}
	return w.String()
}

// writeRequests writes what an error says has to be signed, and names the way on. Any other error it returns as it is.
func writeRequests(err error) error {
	var unsigned *UnsignedError
	if !errors.As(err, &unsigned) {
		return err
	}
	e := unsigned.env
	pending, failed := e.Store.Pending(e.rows)
	if failed == nil {
		unsigned.Requests, failed = e.requests(unsigned.Names, pending)
	}
	if failed != nil {
		return errors.Join(err, failed)
	}
	return withHint(err, fmt.Sprintf("sign the requests, names and usages are in them; then haplane certs import --cluster %s FILE... takes the certificates, and the same command goes on", e.topology.Name))
}

// unsigned parts a plan into what can be done, and what has to be signed elsewhere first. What only ends soon, and is good
// still, holds nothing up: haplane certs renew asks for it.
func (e *env) unsigned(plan []pki.Reissue, signed map[string]pki.Pair) (rest []pki.Reissue, names []string) {
	for _, r := range plan {
		_, is := signed[r.Name]
		serial, asked := e.renew[r.Name]
		asked = asked && serial == pki.Serial(e.keys, r.Name)
		switch {
		case is || !pki.Elsewhere(e.rows, r.Name):
			rest = append(rest, r)
		case asked || !e.fits(r.Name, e.keys.Pairs[r.Name]):
			names = append(names, r.Name)
		}
	}
	return rest, names
}

// forgetExternal has no key of an authority whose key is declared to be elsewhere, whatever lies in the folder.
func (e *env) forgetExternal() {
	for _, row := range e.rows {
		if pair, is := e.keys.Pairs[row.Name]; is && row.External {
			pair.Key = nil
			e.keys.Pairs[row.Name] = pair
		}
	}
}

// externalMissing is an error where an authority is to be used that is not there.
func (e *env) externalMissing(lost []pki.Lost) error {
	var why []string
	for _, l := range lost {
		if l.External {
			why = append(why, fmt.Sprintf("%s: %s", filepath.Join(e.Store.Dir, "pki", l.File), l.Reason))
		}
	}
	if len(why) == 0 {
		return nil
	}
	return withHint(fmt.Errorf("spec.certificates.externalCA: the certificate of an authority is needed, without its key:\n%s", strings.Join(why, "\n")),
		"put it there, or leave the authority out of spec.certificates.externalCA for haplane to make one")
}

// keysLeft tells of keys that are declared to be elsewhere and lie here.
func (e *env) keysLeft() []string {
	var out []string
	for _, row := range e.rows {
		file := filepath.Join(e.Store.Dir, "pki", row.Name+".key")
		if _, err := os.Stat(file); row.External && err == nil {
			out = append(out, fmt.Sprintf("%s is here, and spec.certificates.externalCA says that it is not to be: nothing uses it; move it to where it is kept", file))
		}
	}
	return out
}
