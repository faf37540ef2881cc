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
)

// A SigningRequest is what somebody who has an authority's key has to sign.
type SigningRequest struct {
	Name      string // of the certificate
	Authority string // that signs it
	Request   []byte // PEM
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
	var out []SigningRequest
	for _, row := range h.env.rows {
		if !slices.Contains(names, row.Name) {
			continue
		}
		key := pending[row.Name].Key
		if len(key) == 0 || bytes.Equal(key, h.env.keys.Pairs[row.Name].Key) { // of one that was imported before
			if key, err = pki.NewKey(rand.Reader); err == nil {
				err = s.SavePending(row.Name, pki.Pair{Key: key})
			}
		}
		if err != nil {
			return nil, err
		}
		request, err := pki.SigningRequest(row, key, rand.Reader)
		if err != nil {
			return nil, err
		}
		out = append(out, SigningRequest{Name: row.Name, Authority: row.CA, Request: request})
	}
	return out, nil
}

// ImportCertificates asks for certificates that were signed elsewhere, by the files that they
// are in, to be brought to the nodes. The error tells of all that are not what was asked for.
func (h *Handle) ImportCertificates(files map[string][]byte) (Request, error) {
	q := h.Request()
	pending, err := h.env.Store.Pending(h.env.rows)
	if err == nil {
		err = h.env.loadKeys()
	}
	if err != nil {
		return q, err
	}
	waiting, signed, errs := map[string][]byte{}, map[string]pki.Pair{}, []error(nil)
	for name, p := range pending {
		waiting[name] = p.Key
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name, pair, err := pki.Signed(h.env.rows, h.env.keys, waiting, files[file], time.Now())
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
			continue
		}
		signed[name] = pair
	}
	if len(errs) > 0 {
		return q, withHint(errors.Join(errs...), "haplane certs csr writes what has to be signed")
	}
	q.Renew = map[string]string{}
	for name, pair := range signed {
		q.Renew[name] = pki.Serial(h.env.keys, name)
		if err := h.env.Store.SavePending(name, pair); err != nil {
			return q, err
		}
	}
	return q, nil
}

// fits reports whether a pair is what the row of a name wants.
func (e *env) fits(name string, p pki.Pair) bool {
	i := slices.IndexFunc(e.rows, func(r pki.Row) bool { return r.Name == name })
	return i >= 0 && pki.Check(e.rows[i], p, e.keys.Pairs[e.rows[i].CA].Cert, time.Now()) == nil
}

// signedElsewhere are the certificates that are renewed and that somebody else has signed.
func (e *env) signedElsewhere() (map[string]pki.Pair, error) {
	if len(e.renew) == 0 {
		return nil, nil
	}
	pending, err := e.Store.Pending(e.rows)
	maps.DeleteFunc(pending, func(name string, p pki.Pair) bool {
		_, asked := e.renew[name]
		return !asked || len(p.Cert) == 0 || !e.fits(name, p) // what was declined, and is of another time
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
