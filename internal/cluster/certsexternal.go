package cluster

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// An UnsignedError names certificates that have to be signed by who has the authorities' keys, before anything
// can be done. Nothing was touched.
type UnsignedError struct {
	Names    []string
	Reasons  map[string]string // by name, why what is there does not do
	Requests []SigningRequest  // once they are written
	env      *env
}

func (e *UnsignedError) Error() string {
	var w strings.Builder
	fmt.Fprintf(&w, "cluster %s: who has the authority's key has to sign first (spec.certificates.externalCA); nothing was touched:", e.env.topology.Name)
	for _, name := range e.Names {
		i := slices.IndexFunc(e.env.rows, func(r pki.Row) bool { return r.Name == name })
		fmt.Fprintf(&w, "\n%s, by %s (%s)", name, e.env.rows[i].CA, e.Reasons[name])
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
	return withHint(err, fmt.Sprintf("sign the requests with the keys of these authorities, names and usages are in them; then haplane certs import --cluster %s FILE... takes the certificates, and the same command goes on", e.topology.Name))
}

// wayToSign names, where an error says what has to be signed and nothing was written, the commands that lead on.
// Any other error it returns as it is.
func wayToSign(err error) error {
	var unsigned *UnsignedError
	if !errors.As(err, &unsigned) {
		return err
	}
	e, name := unsigned.env, unsigned.env.topology.Name
	then := fmt.Sprintf("then haplane certs import --cluster %s FILE... takes the certificates", name)
	if e.asRecorded(unsigned.Names) {
		return withHint(err, fmt.Sprintf("haplane certs csr --cluster %s %s -o requests writes what has to be signed, with names and usages in it; %s", name, strings.Join(unsigned.Names, " "), then))
	}
	command := "haplane apply -f FILE"
	if exists, err := isLive(e.Store); err == nil && !exists {
		command = "haplane up"
	}
	return withHint(err, fmt.Sprintf("%s writes what has to be signed to %s, with names and usages in it, and stops before anything is touched; %s, and the same command goes on",
		command, e.Store.Path("pki", "pending"), then))
}

// asRecorded reports whether the cluster as it is on record wants the same of certificates: haplane certs csr knows no other.
func (e *env) asRecorded(names []string) bool {
	c, err := e.Store.Cluster()
	if err != nil {
		return false
	}
	recorded := pki.Catalogue(topology.New(c))
	return !slices.ContainsFunc(e.rows, func(r pki.Row) bool {
		same := func(o pki.Row) bool { return o.Name == r.Name && o.Asks(r) }
		return slices.Contains(names, r.Name) && !slices.ContainsFunc(recorded, same)
	})
}

// unsigned parts a plan into what can be done, and what has to be signed elsewhere first. What only ends soon, and is good
// still, holds nothing up: haplane certs renew asks for it.
func (e *env) unsigned(plan []pki.Reissue, signed map[string]pki.Pair, unfit map[string]error) (rest []pki.Reissue, missing *UnsignedError) {
	for _, r := range plan {
		_, is := signed[r.Name]
		serial, asked := e.renew[r.Name]
		asked = asked && serial == pki.Serial(e.keys, r.Name)
		switch {
		case is || !pki.Elsewhere(e.rows, r.Name):
			rest = append(rest, r)
		case asked || e.judge(r.Name, e.keys.Pairs[r.Name]) != nil:
			if missing == nil {
				missing = &UnsignedError{env: e, Reasons: map[string]string{}}
			}
			missing.Names, missing.Reasons[r.Name] = append(missing.Names, r.Name), r.Reason
			if err := unfit[r.Name]; err != nil {
				missing.Reasons[r.Name] += "; the one that came back cannot be taken: " + err.Error()
			}
		}
	}
	return rest, missing
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
		file := e.Store.Path("pki", row.Name+".key")
		if _, err := os.Stat(file); row.External && err == nil {
			out = append(out, fmt.Sprintf("%s is here, and spec.certificates.externalCA says that it is not to be: nothing uses it, and no machine has a copy; move it to where it is kept", file))
		}
	}
	return out
}

// namesBeyond tells of certificates that have names which nobody has asked for: they are used, and it is said.
func (e *env) namesBeyond() []string {
	var out []string
	beyond := pki.Beyond(e.rows, e.keys)
	for _, name := range slices.Sorted(maps.Keys(beyond)) {
		out = append(out, fmt.Sprintf("certificate %s, signed elsewhere, is good for %s as well, which nobody has asked for: who has its key could pass for that", name, strings.Join(beyond[name], ", ")))
	}
	return out
}

// withCAKey are the nodes whose machines have the key of the CA, which haplane put there and removes, because the cluster file says that
// it is elsewhere; and those that may have it: a machine that cannot be asked, until the cluster has come to that once.
func (l *live) withCAKey() (have, may []string) {
	external := func(t *topology.Topology) bool { return slices.Contains(t.ExternalCA, spec.CA) }
	if l.fresh() || !external(l.topology) {
		return nil, nil
	}
	settled := !slices.ContainsFunc(l.was, func(t *topology.Topology) bool { return !external(t) })
	for _, n := range l.union().ControlPlane() {
		switch m := l.seen.Machines[n.Name]; {
		case slices.Contains(fileset.Unwanted(m.Manifest, nil), caKey):
			have = append(have, n.Name)
		case m.Made && !m.Reachable && !settled:
			may = append(may, n.Name)
		}
	}
	return have, may
}

// notSealed tells of keys that snapshots with the cluster's keys do not have from now on.
func (l *live) notSealed() []string {
	fresh := slices.DeleteFunc(slices.Clone(l.topology.ExternalCA), func(name string) bool {
		return !slices.ContainsFunc(l.was, func(t *topology.Topology) bool { return !slices.Contains(t.ExternalCA, name) })
	})
	if l.fresh() || len(fresh) == 0 || len(l.topology.Snapshots.Recipients) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("spec.certificates.externalCA: snapshots that machines take from now on do not have the key of %s, as earlier ones may have", strings.Join(fresh, ", "))}
}

// caKey is where control-plane machines have the key of the CA.
const caKey = topology.PKIDir + "/ca.key"

// lastCopies says what becomes of the key of the CA on machines, and whether copies are removed of which nobody knows another.
func (l *live) lastCopies() (warning string, last bool, err error) {
	have, may := l.withCAKey()
	if len(have)+len(may) == 0 {
		return "", false, nil
	}
	kept, err := l.Store.Keys(l.rows)
	if err != nil {
		return "", false, err
	}
	file := l.Store.Path("pki", "ca.key")
	var from []string
	if len(have) > 0 {
		from = append(from, strings.Join(have, ", "))
	}
	if len(may) > 0 {
		from = append(from, strings.Join(may, ", ")+" (not answering: nobody knows whether it is there)")
	}
	goes := fmt.Sprintf("spec.certificates.externalCA: %s goes from %s", caKey, strings.Join(from, " and "))
	if kept.Pairs[pki.CA].Whole() {
		return fmt.Sprintf("%s; %s is then the last copy that haplane knows of, and stays", goes, file), false, nil
	}
	return fmt.Sprintf("%s, and %s is no other copy: if nobody has one elsewhere, the key is lost for good. %s has it brought here, to be kept elsewhere",
		goes, file, l.Store.CopyFrom(append(have, may...)[0], "cat "+caKey, "pki/ca.key")), true, nil // who has it is asked first
}
