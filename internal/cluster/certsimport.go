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
	if err != nil {
		return nil, err
	}
	return h.env.requests(names, pending)
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
// are in, to be brought to the nodes. Those that are of a change which has not begun are kept for it, and named.
// The error tells of all that are not what was asked for.
func (h *Handle) ImportCertificates(files map[string][]byte) (Request, []string, error) {
	q, later := h.Request(), []string(nil)
	pending, err := h.env.Store.Pending(h.env.rows)
	if err == nil {
		err = h.env.loadKeys()
	}
	if err != nil {
		return q, nil, err
	}
	waiting, signed, errs := map[string][]byte{}, map[string]pki.Pair{}, []error(nil)
	for name, p := range pending {
		waiting[name] = p.Key
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name, pair, err := pki.Signed(h.env.rows, h.env.keys, waiting, files[file], time.Now())
		if err != nil {
			if kept, pair, keptErr := asRequested(h.env.Store, files[file]); keptErr == nil {
				later = append(later, kept)
				errs = append(errs, h.env.Store.SavePending(kept, pair))
				continue
			}
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
			continue
		}
		signed[name] = pair
	}
	if err := errors.Join(errs...); err != nil {
		return q, nil, withHint(err, "haplane certs csr writes what has to be signed")
	}
	q.Renew = map[string]string{}
	for name, pair := range signed {
		q.Renew[name] = pki.Serial(h.env.keys, name)
		if err := h.env.Store.SavePending(name, pair); err != nil {
			return q, nil, err
		}
	}
	return q, later, nil
}

// KeepSigned keeps certificates that were signed elsewhere for a cluster that is not there yet, and names them.
func KeepSigned(s store.Store, files map[string][]byte) ([]string, error) {
	var names []string
	var errs []error
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name, pair, err := asRequested(s, files[file])
		if err == nil {
			names = append(names, name)
			err = s.SavePending(name, pair)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
	}
	return names, errors.Join(errs...)
}

// asRequested holds a certificate against the requests that were written.
func asRequested(s store.Store, cert []byte) (string, pki.Pair, error) {
	requests, keys, err := s.Requests()
	if err != nil {
		return "", pki.Pair{}, err
	}
	authorities, err := s.Authorities()
	if err != nil {
		return "", pki.Pair{}, err
	}
	return pki.AsRequested(requests, keys, slices.Collect(maps.Values(authorities)), cert, time.Now())
}

// fits reports whether a pair is what the row of a name wants.
func (e *env) fits(name string, p pki.Pair) bool {
	i := slices.IndexFunc(e.rows, func(r pki.Row) bool { return r.Name == name })
	return i >= 0 && pki.Check(e.rows[i], p, e.keys.Pairs[e.rows[i].CA].Cert, time.Now()) == nil
}

// signedElsewhere are the certificates of a plan that somebody else has signed: of those that are renewed, and of
// authorities whose keys are elsewhere.
func (e *env) signedElsewhere(plan []pki.Reissue) (map[string]pki.Pair, error) {
	pending, err := e.Store.Pending(e.rows)
	maps.DeleteFunc(pending, func(name string, p pki.Pair) bool {
		_, asked := e.renew[name]
		planned := slices.ContainsFunc(plan, func(r pki.Reissue) bool { return r.Name == name }) && pki.Elsewhere(e.rows, name)
		return !asked && !planned || len(p.Cert) == 0 || !e.fits(name, p) // what was declined, and is of another time
	})
	return pending, err
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
