package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/pki"
)

// LeafNames are the certificates that can be renewed; of names that are given, those that they
// stand for. The error tells of all names that are none.
func (h *Handle) LeafNames(given []string) ([]string, error) { return pki.Leaves(h.env.rows, given) }

// RenewCertificates asks for certificates to be made anew, and with them for authorities that have ended and all
// that these have signed. Those that a change which was cut off renews are finished.
func (h *Handle) RenewCertificates(names []string) (Request, error) {
	q := h.Request()
	q.About = aboutCertificates
	if err := h.env.loadKeys(); err != nil {
		return q, err
	}
	if foreign := pki.Foreign(h.env.rows, h.env.keys); len(foreign) > 0 {
		return q, h.env.foreignKeys(foreign)
	}
	record, err := h.env.Store.Record()
	if err != nil {
		return q, err
	}
	q.Renew = map[string]string{}
	if record.Rotation == nil { // else there are two generations, of which one signs
		names = plus(names, pki.Ended(h.env.rows, h.env.keys, time.Now()))
	}
	for _, name := range names {
		if c := record.Change; c != nil && c.Renew != nil {
			if _, begun := c.Renew[name]; begun {
				continue
			}
		}
		q.Renew[name] = pki.Serial(h.env.keys, name)
	}
	return q, nil
}

// foreignKeys tells of certificates in the store that somebody else has signed: to write over them would lose them.
func (e *env) foreignKeys(names []string) error {
	var files []string
	for _, name := range names {
		files = append(files, "pki/"+name+".crt")
	}
	return withHint(fmt.Errorf("none of this cluster's authorities has signed %s in %s: it is not replaced", strings.Join(files, ", "), e.Store.Dir),
		"move the certificate and its key away; then haplane up makes one of this cluster's")
}

// renewed are the certificates that this change makes anew, and those of one that was cut off.
func (l *live) renewed() map[string]string {
	out := map[string]string{}
	if c := l.record.Change; c != nil && !l.Abort {
		maps.Copy(out, c.Renew)
	}
	maps.Copy(out, l.Renew)
	return out
}

// errIssued is why a renewal is not taken back.
var errIssued = errors.New("certificates that are being renewed do not come back: the old keys are gone from the record, and the new ones are good on every node")

// issued reports whether a change that was cut off has made certificates anew that were asked for.
func (h *Handle) issued(renew map[string]string) bool {
	if len(renew) == 0 || h.env.loadKeys() != nil {
		return false
	}
	return slices.ContainsFunc(slices.Collect(maps.Keys(renew)), func(name string) bool {
		return pki.Serial(h.env.keys, name) != renew[name]
	})
}
