package cluster

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
)

// completeKeys loads the keys and makes, in memory, what is missing or ends soon; it tells what
// and why. Of a cluster that exists what others depend on is never made anew: the error, a
// *store.LostError, has all of it.
func (e *env) completeKeys(now time.Time) ([]pki.Reissue, error) {
	if err := e.loadKeys(); err != nil {
		return nil, err
	}
	hosts, err := e.Store.Hosts(e.topology)
	if err != nil {
		return nil, err
	}
	exists, err := e.Store.Exists(hosts)
	if err != nil {
		return nil, err
	}
	plan, lost := pki.Plan(e.rows, e.keys, now, exists)
	plan = pki.Renew(e.keys, plan, e.renew, e.rows)
	lost = slices.DeleteFunc(lost, func(l pki.Lost) bool { // made anew with its key, as was asked
		return l.Ended && !l.External && slices.ContainsFunc(plan, func(r pki.Reissue) bool { return r.Name+".crt" == l.File })
	})
	signed, unfit, err := e.signedElsewhere(plan)
	if err != nil {
		return nil, err
	}
	ours := func(name string) bool { // an older haplane left the agent's where API servers write endpoints, and did not rotate it
		_, is := signed[name]
		return is || name == pki.Agent
	}
	if foreign := slices.DeleteFunc(pki.Foreign(e.rows, e.keys), ours); exists && !e.drops && len(foreign) > 0 {
		return nil, e.foreignKeys(foreign)
	}
	if err := e.externalMissing(lost); err != nil {
		return nil, err
	}
	plan, unsigned := e.unsigned(plan, signed, unfit)
	lost = e.spared(lost, signed)
	lostSSH, err := e.Store.LostSSH(hosts)
	if err != nil {
		return nil, err
	}
	if all := append(e.Store.LostKeys(lost, hosts), lostSSH...); len(all) > 0 {
		err := &store.LostError{Cluster: e.topology.Name, Secrets: all}
		if slices.ContainsFunc(lost, e.keyAway) {
			return nil, withHint(err, "where an authority's key is kept elsewhere, haplane certs csr writes what has to be signed there")
		}
		return nil, err
	}
	if unsigned != nil {
		return nil, unsigned
	}
	toSign := slices.DeleteFunc(slices.Clone(plan), func(r pki.Reissue) bool { _, is := signed[r.Name]; return is })
	e.keys, err = pki.Issue(e.rows, e.keys, toSign, now, rand.Reader)
	for _, r := range plan {
		if pair, is := signed[r.Name]; is && err == nil {
			e.keys.Pairs[r.Name] = pair
		}
	}
	return plan, err
}

func (e *env) loadKeys() error {
	read := e.Store.Keys
	if e.keysOf != nil {
		read = e.keysOf
	}
	var err error
	if e.keys, err = read(e.rows); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	e.forgetExternal()
	return nil
}
