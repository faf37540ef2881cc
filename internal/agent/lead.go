package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// LeaseName is the agents' Lease in kube-system.
const LeaseName = "haplane-agent"

// The Lease outlives an API server's restart on the leader's own node (3.5 s), and
// a leader whose machine died is replaced within leaseDuration and two retries:
// about 8 s. Renewing costs one small write a second.
const (
	leaseDuration = 6 * time.Second
	renewDeadline = 4 * time.Second
	retryPeriod   = 1 * time.Second
)

// An election runs one function at a time on one node of the cluster.
type election struct {
	client                               kubernetes.Interface
	identity                             string // the node's name: an agent that restarts resumes its own term at once
	leaseDuration, renewDeadline, period time.Duration
	status                               *status
}

// run leads with work whenever it is this node's turn, and stands again after
// every term, until ctx ends. The Lease is released on the way out.
func (e election) run(ctx context.Context, work func(context.Context)) error {
	// The elector starts work in a goroutine that may outlast the term by an
	// instant: the next term of this process waits for it.
	var term sync.Mutex
	for ctx.Err() == nil {
		elector, err := e.elector(func(ctx context.Context) {
			term.Lock()
			defer term.Unlock()
			if ctx.Err() != nil {
				return
			}
			e.status.leads(true)
			defer e.status.leads(false)
			work(ctx)
		})
		if err != nil {
			return fmt.Errorf("elect a leader: %w", err)
		}
		elector.Run(ctx)
	}
	term.Lock()
	defer term.Unlock()
	return nil
}

func (e election) elector(work func(context.Context)) (*leaderelection.LeaderElector, error) {
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: LeaseName,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: LeaseName},
			Client:     e.client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: e.identity},
		},
		LeaseDuration: e.leaseDuration, RenewDeadline: e.renewDeadline, RetryPeriod: e.period,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: work,
			OnStoppedLeading: func() {}, // required; work ends with its context
			OnNewLeader:      e.status.holds,
		},
	})
}
