package xray

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A Lease that lasts longer leaves the cluster without a leader for longer than a
// node is given to come back; one that is shorter is lost whenever an API server is
// restarted.
const (
	leaseLong  = time.Minute
	leaseShort = 5 * time.Second
)

// jitter is client-go's leaderelection.JitterFactor.
const jitter = 1.2

// A timing is how a program elects. The defaults are component-base's.
type timing struct{ lease, renew, retry time.Duration }

func (t timing) String() string {
	return fmt.Sprintf("lease %s, renewed within %s, tried every %s", t.lease, t.renew, t.retry)
}

func timingOf(p Instance) (timing, error) {
	t := timing{15 * time.Second, 10 * time.Second, 2 * time.Second}
	for _, f := range []struct {
		to          *time.Duration
		flag, field string
	}{
		{&t.lease, "leader-elect-lease-duration", "leaseDuration"},
		{&t.renew, "leader-elect-renew-deadline", "renewDeadline"},
		{&t.retry, "leader-elect-retry-period", "retryPeriod"},
	} {
		text := electionSetting(p, f.flag, f.field, f.to.String())
		d, err := time.ParseDuration(text)
		if err != nil {
			return t, fmt.Errorf("%s of %s is no duration: %q", f.flag, p.Name, text)
		}
		*f.to = d
	}
	return t, nil
}

func leaderLeaseTiming(s *Scene) []Finding {
	var out []Finding
	for _, name := range elected {
		instances := s.Instances(name)
		for _, p := range instances {
			if v, _ := leaderElect(p); v != "false" {
				out = append(out, judgeTiming(p))
			}
		}
		if len(instances) == 0 {
			out = append(out, s.timingOfLease(name)...)
		}
	}
	return out
}

func judgeTiming(p Instance) Finding {
	t, err := timingOf(p)
	if err != nil {
		return p.at().unseen(err.Error())
	}
	observed := p.Name + ": " + t.String()
	switch {
	case t.lease <= t.renew:
		return p.at().fail("a lease duration above the renew deadline", observed)
	case t.renew <= time.Duration(jitter*float64(t.retry)):
		return p.at().fail("a renew deadline above 1.2 times the retry period", observed)
	}
	return lasting(p.at(), t.lease, observed)
}

func lasting(where at, lease time.Duration, observed string) Finding {
	switch {
	case lease > leaseLong:
		return where.warn(fmt.Sprintf("a lease duration of %s at most", leaseLong), fmt.Sprintf("%s: nobody leads for %s after a leader died", observed, lease))
	case lease < leaseShort:
		return where.warn(fmt.Sprintf("a lease duration of %s at least", leaseShort), observed+": it is lost while an API server restarts")
	}
	return where.pass("%s", observed)
}

// timingOfLease is what the API shows, where no flags are seen.
func (s *Scene) timingOfLease(name string) []Finding {
	l := s.lease(name)
	if l == nil || valueOf(l.Spec.HolderIdentity) == "" || l.Spec.LeaseDurationSeconds == nil {
		return nil
	}
	return []Finding{lasting(at{source: "Lease kube-system/" + name}, leaseSeconds(l), fmt.Sprintf("%s: lease %s", name, leaseSeconds(l)))}
}

// releaseGate has kube-controller-manager release its Lease; alpha, and off, since
// the version (k8s.io/controller-manager/pkg/features). kube-scheduler does always.
const releaseGate = "ControllerManagerReleaseLeaderElectionLockOnExit"

func leaderReleaseOnExit(s *Scene) []Finding {
	var out []Finding
	for _, p := range s.Instances(evidence.ControllerManager) {
		out = append(out, s.judgeRelease(p))
	}
	return out
}

func (s *Scene) judgeRelease(p Instance) Finding {
	expected := releaseGate + "=true"
	if v, _ := leaderElect(p); v == "false" {
		return p.at().skip("it takes part in no election")
	}
	if slices.Contains(strings.Split(featureGates(p), ", "), expected) {
		return p.at().pass("%s", expected)
	}
	switch yes, sure := s.knows(p, releaseGate); {
	case !sure: // an older one ends with a gate that it does not know
		return p.at().skip("its version is not known: the gate came with 1.36")
	case !yes:
		return p.at().skip("%s cannot: the gate came with 1.36", p.Version)
	}
	lasts := ""
	if t, err := timingOf(p); err == nil {
		lasts = fmt.Sprintf(": after a stop nobody leads for up to %s", t.lease)
	}
	return p.at().warn(expected, "it keeps its Lease"+lasts)
}
