package xray

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A stop is how an API server ends after SIGTERM.
type stop struct {
	delay      time.Duration // it is unready, and serves as before
	watchGrace time.Duration // in which it ends watches, beside
	requests   time.Duration // the longest that a request under way may take
	retryAfter bool
	timeout    time.Duration // when it is killed; 0: not known
}

// closing is how long the HTTP server waits for its connections after the last
// request, where it has answered late ones until then. Otherwise it waits from the
// end of the delay on, for --request-timeout: genericapiserver.go of k8s.io/apiserver.
const closing = 2 * time.Second

func (s stop) needed() time.Duration {
	needed := s.delay + max(s.requests, s.watchGrace)
	if s.retryAfter {
		needed += closing
	}
	return needed
}

func stopOf(a Instance) (out stop, err error) {
	for _, f := range []struct {
		to        *time.Duration
		flag      string
		otherwise time.Duration
	}{
		{&out.delay, "shutdown-delay-duration", 0},
		{&out.watchGrace, "shutdown-watch-termination-grace-period", 0},
		{&out.requests, "request-timeout", time.Minute},
	} {
		if *f.to, err = duration(a, f.flag, f.otherwise); err != nil {
			return out, err
		}
	}
	out.retryAfter, _ = strconv.ParseBool(a.FlagOr("shutdown-send-retry-after", "false"))
	out.timeout = a.StopTimeout
	return out, nil
}

func gracefulShutdown(s *Scene) []Finding {
	var out []Finding
	for _, a := range s.Instances(evidence.APIServer) {
		t, err := stopOf(a)
		if err != nil {
			out = append(out, a.at().unseen(err.Error()))
			continue
		}
		found := append(s.stopFlags(a, t), stopTime(a, t)...)
		late := "go elsewhere"
		if t.retryAfter {
			late = "answered 429"
		}
		observed := fmt.Sprintf("delay %s, then up to %s for requests and %s for watches, late ones %s", t.delay, t.requests, t.watchGrace, late)
		if t.timeout > 0 && t.timeout < day { // systemd knows infinity
			observed += fmt.Sprintf("; killed after %s", t.timeout)
		}
		out = append(out, orPass(found, a.at(), "%s", observed)...)
	}
	return out
}

// stopFlags: defaults, which are kubeadm's too, drop connections and are nobody's
// mistake: they are warnings.
func (s *Scene) stopFlags(a Instance, t stop) []Finding {
	var out []Finding
	b, detection, balanced := s.slowest()
	lacks := func(flag string) bool { // a version that has no such flag is not to blame
		yes, sure := s.knows(a, flag)
		return sure && !yes
	}
	switch {
	case t.delay == 0 && lacks("--shutdown-delay-duration"):
	case t.delay == 0:
		out = append(out, a.at().warn("a --shutdown-delay-duration above what the load balancer takes to notice", "none (the default): it stops listening at once"))
	case balanced && t.delay <= detection:
		out = append(out, a.at().fail(fmt.Sprintf("a --shutdown-delay-duration above %s, in which %s notices", detection, b.machine.Name), t.delay.String()))
	}
	if !t.retryAfter && !s.goesElsewhere() && !lacks("--shutdown-send-retry-after") {
		out = append(out, a.at().warn("--shutdown-send-retry-after=true, or a load balancer that tries another server", "it closes its port while requests are under way: late ones are refused"))
	}
	if t.watchGrace == 0 && !lacks("--shutdown-watch-termination-grace-period") {
		out = append(out, a.at().warn("a --shutdown-watch-termination-grace-period", "none (the default): all watches end, and come back elsewhere, at once"))
	}
	return out
}

// goesElsewhere reports whether there are load balancers, and each tries another server where a connect is refused.
func (s *Scene) goesElsewhere() bool {
	all := s.balancers()
	return len(all) > 0 && !slices.ContainsFunc(all, func(b balancer) bool { return b.Err != "" || !b.Redispatch })
}

// stopTime fails where the kill is sure to come before the flags have had their
// time, and warns where a slow request could be cut.
func stopTime(a Instance, t stop) []Finding {
	switch {
	case t.timeout == 0 || t.timeout >= t.needed():
		return nil
	case t.timeout < t.delay+t.watchGrace:
		return []Finding{a.at().fail(fmt.Sprintf("%s at least: delay, watches and requests", t.needed()),
			fmt.Sprintf("killed after %s, within the %s that its own flags ask for", t.timeout, t.delay+t.watchGrace))}
	}
	return []Finding{a.at().warn(fmt.Sprintf("%s: delay and the longest request", t.needed()), fmt.Sprintf("killed after %s", t.timeout))}
}
