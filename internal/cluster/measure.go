package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// ProbeRate is how many requests a second each lane sends by default while a cluster changes.
const ProbeRate = 10

// measureAfter is how long the lanes go on after the last step: what goes wrong late counts.
const measureAfter = time.Second

// A measurement is the lanes that run while a cluster changes.
type measurement struct {
	target  *kubeprobe.Target
	session *probe.Session
	rate    float64 // requests a second in each lane
	// requests and failed are those that were counted last, between turns of an upgrade, and counted is when.
	requests, failed int
	counted          time.Time

	mu     sync.Mutex
	errors []string
}

// measure begins to send requests of every kind. Of a cluster that does not answer
// there is nothing to measure, and the lanes that cannot run are named.
func (l *live) measure(ctx context.Context) *measurement {
	m := &measurement{rate: cmp.Or(l.ProbeRate, ProbeRate)}
	if !l.seen.APISeen {
		m.errors = append(m.errors, "the API does not answer, so nothing is measured")
		return m
	}
	var err error
	if m.target, err = l.target(); err == nil {
		m.target.Node = l.worker()
		err = m.start(ctx)
	}
	if err != nil {
		m.trouble(err)
	}
	return m
}

// target is the cluster as lanes ask it beside a change.
func (l *live) target() (*kubeprobe.Target, error) {
	data, err := l.kubeconfig(pki.SuperAdmin, l.topology.APIEndpoint(), "").Bytes()
	if err != nil {
		return nil, err
	}
	target, err := kubeprobe.NewTarget(data, l.serving())
	if err == nil {
		target.ForChange()
	}
	if err == nil && l.entrance != nil {
		target.Through(l.entrance.dial(l.topology))
	}
	return target, err
}

// removeLeft ends the lanes of changes that were killed.
func (l *live) removeLeft(ctx context.Context) error {
	if !l.seen.APISeen {
		return nil
	}
	target, err := l.target()
	if err != nil {
		return err
	}
	return target.RemoveLeft(ctx)
}

// start begins the lanes from here, and beside them those that a pod walks.
func (m *measurement) start(ctx context.Context) error {
	lanes, err := m.target.Lanes(kubeprobe.LBNew, kubeprobe.LBReused, kubeprobe.Direct, kubeprobe.Write, kubeprobe.Watch)
	if err != nil {
		return err
	}
	if m.session, err = probe.Start(ctx, lanes, probe.Options{Rate: m.rate}); err != nil {
		return err
	}
	if m.target.Node == "" {
		m.trouble(fmt.Errorf("lanes %s, %s: no worker node stays throughout", kubeprobe.InCluster, kubeprobe.Worker))
		return nil
	}
	var group sync.WaitGroup
	for _, kind := range []string{kubeprobe.InCluster, kubeprobe.Worker} {
		group.Go(func() {
			lanes, err := m.target.Lanes(kind)
			if err == nil {
				err = m.session.Add(lanes[0])
			}
			if err != nil {
				m.trouble(err)
			}
		})
	}
	group.Wait()
	return nil
}

func (m *measurement) trouble(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errors = append(m.errors, err.Error())
}

// serving are the API servers that are ready, by node.
func (l *live) serving() map[string]string {
	out := map[string]string{}
	for _, n := range l.union().ControlPlane() {
		if l.seen.APIServers[n.Name].Ready {
			out[n.Name] = n.APIServer()
		}
	}
	return out
}

// worker is a node for pods that measure: one that is Ready and stays as it is, also where a change
// that was cut off goes on.
func (l *live) worker() string {
	passing := l.replaced()
	if l.Upgrade != nil && len(passing) > 0 { // whoever passes last: its lanes end before that
		return l.lastWorker()
	}
	for _, n := range l.nodes {
		_, wanted := l.topology.Node(n.Name)
		if n.Role == spec.RoleWorker && wanted && n.State == change.Active && l.seen.Nodes[n.Name].Ready && !slices.Contains(passing, n.Name) {
			return n.Name
		}
	}
	return ""
}

// mark writes a step on the time line.
func (m *measurement) mark(text string) {
	if m != nil && m.session != nil {
		m.session.Mark(text)
	}
}

// gone ends the lane straight to an API server before that is stopped.
func (m *measurement) gone(n topology.Node) {
	if m == nil || m.session == nil || !slices.Contains(m.session.Names(), kubeprobe.DirectPrefix+n.Name) {
		return
	}
	if err := m.session.End(kubeprobe.DirectPrefix + n.Name); err != nil {
		m.trouble(err)
	}
}

// drains ends the lanes from a worker that passes.
func (m *measurement) drains(n topology.Node) {
	if m == nil || m.session == nil || m.target.Node != n.Name {
		return
	}
	for _, kind := range []string{kubeprobe.InCluster, kubeprobe.Worker} {
		if slices.Contains(m.session.Names(), kind) {
			if err := m.session.End(kind); err != nil {
				m.trouble(err)
			}
		}
	}
}

// up begins the lane straight to an API server that is ready.
func (m *measurement) up(n topology.Node) {
	if m == nil || m.session == nil || slices.Contains(m.session.Names(), kubeprobe.DirectPrefix+n.Name) {
		return
	}
	lane, err := m.target.Direct(n.Name, n.APIServer())
	if err == nil {
		err = m.session.Add(lane)
	}
	if err != nil {
		m.trouble(err)
	}
}

// moved begins the lane on one connection anew, as a client that has read the kubeconfig again: what stays on a connection through
// a load balancer that goes is cut with it. Others are through with what they had asked there when it returns.
func (m *measurement) moved() {
	if m == nil || m.session == nil || !slices.Contains(m.session.Names(), kubeprobe.LBReused) {
		return
	}
	err := m.session.End(kubeprobe.LBReused)
	var lanes []probe.Lane
	if err == nil {
		lanes, err = m.target.Lanes(kubeprobe.LBReused)
	}
	if err == nil {
		err = m.session.Add(lanes[0])
	}
	ctx, cancel := context.WithTimeout(context.Background(), probe.DefaultTimeout)
	defer cancel()
	if err = errors.Join(err, m.session.Settle(ctx, time.Now())); err != nil {
		m.trouble(err)
	}
}

// stop ends the lanes and tells what they saw; nil where nothing was measured.
func (m *measurement) stop(ctx context.Context) *probe.Report {
	if m == nil || m.session == nil && len(m.errors) == 0 {
		return nil
	}
	if m.session == nil { // the report says why nothing was measured
		return &probe.Report{Lanes: []probe.LaneReport{}, Marks: []probe.Mark{}, Late: []probe.Lateness{}, Errors: m.errors}
	}
	select {
	case <-ctx.Done():
	case <-time.After(measureAfter):
	}
	report := m.session.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	report.Errors = append(report.Errors, m.errors...)
	return &report
}

// endMeasuring ends the lanes of a change that has begun, and returns what they saw, which the log has too.
func (l *live) endMeasuring(ctx context.Context) *probe.Report {
	report := l.measured.stop(ctx)
	logReport(l.Log, report)
	return report
}

// logReport keeps what was measured in the log, where it is found when nobody has kept what was printed.
func logReport(log *slog.Logger, r *probe.Report) {
	if r == nil {
		return
	}
	for _, e := range r.Errors {
		log.Warn("not measured", "err", e)
	}
	for _, l := range r.Lanes {
		log.Info("measured", "lane", l.Name, "requests", l.Requests, "failed", l.Failed, "failedWhileLate", l.FailedLate, "longestGapMs", l.LongestGap)
		for _, o := range l.Outages {
			log.Warn("outage", "lane", l.Name, "start", o.Start, "end", o.End, "failed", o.Failed, "first", o.FirstError)
		}
	}
	for _, l := range r.Late {
		log.Info("haplane itself was late", "start", l.Start, "end", l.End)
	}
	if r.Writes != nil && r.Writes.Lost > 0 {
		log.Warn("lost writes", "keys", r.Writes.LostKeys)
	}
}
