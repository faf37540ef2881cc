package cluster

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
)

// A SigningRequest is what somebody who has an authority's key has to sign.
type SigningRequest struct {
	Name      string // of the certificate
	Authority string // that signs it
	Request   []byte // PEM
	File      string // in the cluster's folder
}

// SigningRequests makes keys for certificates that are signed elsewhere, and the requests for
// them. A key that waits already is kept: what was asked for with it may be signed by now.
func (h *Handle) SigningRequests(names []string) ([]SigningRequest, error) {
	s := h.env.Store
	unlock, err := s.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	pending, err := s.Pending(h.env.rows)
	if err == nil {
		err = h.env.loadKeys()
	}
	if err == nil {
		err = h.env.requestable(names, pending)
	}
	if err != nil {
		return nil, err
	}
	return h.env.requests(names, pending)
}

// requestable is an error where what an authority signs could not be imported, or where a key that waits cannot be used.
func (e *env) requestable(names []string, pending map[string]pki.Pair) error {
	var errs []error
	asked := map[string]bool{}
	for _, name := range names {
		asked[pki.AuthorityOf(name)] = true
		if key := pending[name].Key; len(key) > 0 {
			if _, err := pki.PublicOf(key); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w: move it away, and another one is made", e.Store.Path("pki", "pending", name+".key"), err))
			}
		}
	}
	for _, authority := range slices.Sorted(maps.Keys(asked)) {
		if reason := pki.Unusable(e.keys.Pairs[authority].Cert, time.Now()); reason != "" {
			errs = append(errs, fmt.Errorf("%s: %s: what %s signs could not be checked; put its certificate there first", e.Store.Path("pki", authority+".crt"), reason, authority))
		}
	}
	return errors.Join(errs...)
}

// requests makes them, for rows of the cluster as it is wanted.
func (e *env) requests(names []string, pending map[string]pki.Pair) ([]SigningRequest, error) {
	var out []SigningRequest
	for _, row := range e.rows {
		if !slices.Contains(names, row.Name) {
			continue
		}
		key, err := pending[row.Name].Key, error(nil)
		if len(key) == 0 || bytes.Equal(key, e.keys.Pairs[row.Name].Key) { // of one that was imported before
			if key, err = pki.NewKey(rand.Reader); err == nil {
				err = e.Store.SavePending(row.Name, pki.Pair{Key: key})
			}
		}
		if err != nil {
			return nil, err
		}
		one := SigningRequest{Name: row.Name, Authority: row.CA}
		if one.Request, err = pki.SigningRequest(row, key, rand.Reader); err == nil {
			one.File, err = e.Store.SaveRequest(row.Name, one.Request)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// ImportCertificates asks for certificates that were signed elsewhere, by the files that they
// are in, to be brought to the nodes. Those that are of a change which has not begun, or was cut off, are kept for it, and named; so are all
// while no machine is there that has, or had, etcd's data: a restore that makes them anew waits for these.
// The error tells of all that are not what was asked for, and then nothing is kept.
func (h *Handle) ImportCertificates(files map[string][]byte) (Request, []string, error) {
	q, e := h.Request(), h.env
	q.About = aboutCertificates
	unlock, err := e.Store.Lock()
	if err != nil {
		return q, nil, err
	}
	defer unlock()
	if err := e.loadKeys(); err != nil {
		return q, nil, err
	}
	here, err := e.hasMachines()
	if err != nil {
		return q, nil, err
	}
	now, later, err := returned(e.Store, e.rows, e.keys, files)
	if err != nil {
		return q, nil, err
	}
	record, err := e.Store.Record()
	if err != nil {
		return q, nil, err
	}
	waits := func(name string) bool { return record.Change != nil && pki.Serial(e.keys, name) == "" } // a change that was cut off, for its first one
	for name, pair := range now {
		if !here || waits(name) {
			later[name] = pair
			delete(now, name)
		}
	}
	q.Renew = map[string]string{}
	for name := range now {
		q.Renew[name] = pki.Serial(e.keys, name)
	}
	var kept []string
	for _, name := range slices.Sorted(maps.Keys(later)) {
		if here && !waits(name) && slices.ContainsFunc(e.rows, func(r pki.Row) bool { return r.Name == name }) {
			kept = append(kept, name+" (another one than the cluster has need of as it is)")
		} else {
			kept = append(kept, name)
		}
	}
	return q, kept, errors.Join(savePending(e.Store, now), savePending(e.Store, later))
}

// KeepSigned keeps certificates that were signed elsewhere for a cluster that is not there yet, and names them. The error
// tells of all that are not what was asked for, and then nothing is kept.
func KeepSigned(s store.Store, files map[string][]byte) ([]string, error) {
	unlock, err := s.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	authorities, err := s.Authorities()
	if err != nil {
		return nil, err
	}
	have := pki.Bundle{Pairs: map[string]pki.Pair{}}
	for name, cert := range authorities {
		have.Pairs[name] = pki.Pair{Cert: cert}
	}
	_, later, err := returned(s, nil, have, files)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(later)), savePending(s, later)
}

func savePending(s store.Store, pairs map[string]pki.Pair) error {
	var errs []error
	for name, p := range pairs {
		errs = append(errs, s.SavePending(name, p))
	}
	return errors.Join(errs...)
}

// returned sorts certificates, by the files that they are in: what the rows of the cluster ask for as it is now, and what
// was asked for by a change that has not begun. Each is held against the request that was written for it, and against the one
// authority that signs for its name. The error has each file that is not as it has to be, with all that is wrong with it.
func returned(s store.Store, rows []pki.Row, have pki.Bundle, files map[string][]byte) (now, later map[string]pki.Pair, err error) {
	requests, waiting, unread, err := s.Requests()
	if err != nil {
		return nil, nil, err
	}
	asked, broken := pki.Requested(requests, rows)
	maps.Copy(broken, unread)
	now, later = map[string]pki.Pair{}, map[string]pki.Pair{}
	from, given, wrong, strange, again := map[string]string{}, map[string][]byte{}, []error(nil), false, false
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name, pair, err := pki.Returned(waiting, files[file])
		if err != nil {
			wrong, strange = append(wrong, fmt.Errorf("%s: %w", file, err)), true
			continue
		}
		if first, twice := from[name]; twice && !bytes.Equal(pair.Cert, given[name]) {
			wrong = append(wrong, fmt.Errorf("%s: %s has a certificate %s too, and another one: give the one that is to be taken", file, first, name))
			continue
		}
		from[name], given[name] = file, pair.Cert
		if err := broken[name]; err != nil {
			wrong, again = append(wrong, fmt.Errorf("%s: nobody knows as what certificate %s was requested: %s: %w", file, name, s.Path("pki", "pending", name+".csr"), err)), true
			continue
		}
		i := slices.IndexFunc(rows, func(r pki.Row) bool { return r.Name == name })
		row, requested := asked[name]
		if !requested && i >= 0 { // the request is lost
			row = rows[i]
		}
		if err := pki.Check(row, pair, have.Pairs[pki.AuthorityOf(name)], time.Now()); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: it is not as certificate %s was requested: %w; sign %s again with the key of %s",
				file, name, err, s.Path("pki", "pending", name+".csr"), pki.AuthorityOf(name)))
			continue
		}
		if i >= 0 && row.Asks(rows[i]) {
			now[name] = pair
		} else {
			later[name] = pair
		}
	}
	if strange { // it may be of these
		for _, name := range slices.Sorted(maps.Keys(unread)) {
			wrong = append(wrong, fmt.Errorf("what waits for certificate %s cannot be read: %w", name, unread[name]))
		}
	}
	if err = errors.Join(wrong...); (strange || again) && len(rows) > 0 {
		err = withHint(err, "haplane certs csr writes what has to be signed")
	}
	return now, later, err
}

// judge tells why a pair is not what the row of a name wants.
func (e *env) judge(name string, p pki.Pair) error {
	i := slices.IndexFunc(e.rows, func(r pki.Row) bool { return r.Name == name })
	if i < 0 {
		return errors.New("nothing has a certificate of that name")
	}
	return pki.Check(e.rows[i], p, e.keys.Pairs[e.rows[i].CA], time.Now())
}

// signedElsewhere are the certificates of a plan that somebody else has signed: of those that are renewed, and of
// authorities whose keys are elsewhere. Of those that came back and are not as they have to be it tells why: they are of another time, or were declined.
func (e *env) signedElsewhere(plan []pki.Reissue) (signed map[string]pki.Pair, unfit map[string]error, err error) {
	signed, err = e.Store.Pending(e.rows)
	unfit = map[string]error{}
	maps.DeleteFunc(signed, func(name string, p pki.Pair) bool {
		_, asked := e.renew[name]
		planned := slices.ContainsFunc(plan, func(r pki.Reissue) bool { return r.Name == name }) && pki.Elsewhere(e.rows, name)
		if !asked && !planned || len(p.Cert) == 0 {
			return true
		}
		if err := e.judge(name, p); err != nil {
			unfit[name] = err
		}
		return unfit[name] != nil
	})
	return signed, unfit, err
}

// spared leaves out of what is lost the keys of authorities that nothing has to be signed with:
// all that is renewed was signed elsewhere, or is done.
func (e *env) spared(lost []pki.Lost, signed map[string]pki.Pair) []pki.Lost {
	for name, serial := range e.renew {
		if _, is := signed[name]; !is && pki.Serial(e.keys, name) == serial {
			return lost
		}
	}
	if len(e.renew) == 0 {
		return lost
	}
	return slices.DeleteFunc(slices.Clone(lost), e.keyAway)
}

// keyAway reports whether what is lost is the key of an authority, and not there at all.
func (e *env) keyAway(l pki.Lost) bool {
	authority, isKey := strings.CutSuffix(l.File, ".key")
	known := slices.ContainsFunc(e.rows, func(r pki.Row) bool { return r.Name == authority && r.CA == "" })
	return isKey && known && len(e.keys.Pairs[authority].Key) == 0
}
