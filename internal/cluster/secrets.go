package cluster

import (
	"crypto/rand"
	"fmt"
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
	lostSSH, err := e.Store.LostSSH(hosts)
	if err != nil {
		return nil, err
	}
	if all := append(e.Store.LostKeys(lost, hosts), lostSSH...); len(all) > 0 {
		return nil, &store.LostError{Cluster: e.topology.Name, Secrets: all}
	}
	e.keys, err = pki.Issue(e.rows, e.keys, plan, now, rand.Reader)
	return plan, err
}

func (e *env) loadKeys() error {
	var err error
	if e.keys, err = e.Store.Keys(e.rows); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	return nil
}
