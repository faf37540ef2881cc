//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/probe"
)

// traffic is what clients send while something happens to the cluster.
type traffic struct {
	session *probe.Session
	from    time.Time // when the next report begins
}

// startTraffic sends requests by new connections and by one that is kept.
func (c *cluster) startTraffic(t *testing.T) *traffic {
	t.Helper()
	lanes, err := kubeprobe.ForConfig(c.config(t), nil).Lanes(kubeprobe.LBNew, kubeprobe.LBReused)
	if err != nil {
		t.Fatal(err)
	}
	session, err := probe.Start(background(t), lanes, probe.Options{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Stop() })
	return &traffic{session: session}
}

// report logs what each lane saw since the last report, and returns how many
// requests failed in the worst.
func (tr *traffic) report(t *testing.T, event string) int {
	t.Helper()
	until := time.Now()
	if err := tr.session.Settle(background(t), until); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, l := range tr.session.Between(tr.from, until).Lanes {
		failed = max(failed, l.Failed)
		t.Logf("%s: %s: %d of %d requests failed (%d while this process itself was late), %d deferred, longest gap %.0f ms", event, l.Name, l.Failed, l.Requests, l.FailedLate, l.Deferred, l.LongestGap)
		for _, o := range l.Outages[:min(5, len(l.Outages))] {
			t.Logf("  from %s for %s: %d failed, first: %s", o.Start.Format("15:04:05.000"), ms(o.End.Sub(o.Start)), o.Failed, o.FirstError)
		}
		if l.Requests < 50 {
			t.Errorf("%s: %s: %d requests say nothing", event, l.Name, l.Requests)
		}
	}
	tr.from = until
	return failed
}

// unnoticed fails the test where more than one request in two hundred failed since the last report.
func (tr *traffic) unnoticed(t *testing.T, event string) {
	t.Helper()
	from := tr.from
	tr.report(t, event)
	for _, l := range tr.session.Between(from, tr.from).Lanes {
		if l.Failed > 1+l.Requests/200 {
			t.Errorf("%s: %s: %d of %d requests failed", event, l.Name, l.Failed, l.Requests)
		}
	}
}

// answers waits until every lane has had answers only for a second, to all that was due in it.
func (tr *traffic) answers(t *testing.T, limit time.Duration) {
	t.Helper()
	start := time.Now()
	wait(t, limit, "all requests to be answered", func(ctx context.Context) error {
		until := time.Now()
		from := until.Add(-time.Second)
		if from.Before(start) {
			return fmt.Errorf("it has been asked for %s", ms(until.Sub(start)))
		}
		if err := tr.session.Settle(ctx, until); err != nil {
			return err
		}
		for _, l := range tr.session.Between(from, until).Lanes {
			if l.Failed > 0 || l.Requests < 10 {
				return fmt.Errorf("%s: %d of %d requests failed in the last second", l.Name, l.Failed, l.Requests)
			}
		}
		return nil
	})
}
