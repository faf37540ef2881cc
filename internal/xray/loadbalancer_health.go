package xray

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

const wantedCheck = "GET /readyz over TLS, the certificate verified, status 200"

func lbHealthCheck(s *Scene) []Finding {
	return s.configured(func(b balancer) []Finding {
		return orPass(slices.Concat(s.healthCheckFaults(b), s.strangers(b), uncheckedBackends(b)), b.at(), "%s", describe(b.Check))
	})
}

// strangers: an API server that takes no anonymous requests tells nobody whether it is ready
// who does not log in.
func (s *Scene) strangers(b balancer) []Finding {
	if b.Check.Kind != "http" || b.Check.LogsIn || deniedStatus.MatchString(b.Check.Expect) {
		return nil
	}
	var names []string
	for _, a := range s.Instances(evidence.APIServer) {
		if a.FlagOr("anonymous-auth", "true") == "false" {
			names = append(names, a.Machine.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []Finding{b.at().fail(wantedCheck+", logging in with a client certificate (crt)",
		fmt.Sprintf("%s, as nobody: %s with --anonymous-auth=false answers 401, ready or not", describe(b.Check), list(names)))}
}

// deniedStatus is what an API server answers to those it does not know, ready or not.
var deniedStatus = regexp.MustCompile(`\b40[13]\b`)

func (s *Scene) healthCheckFaults(b balancer) []Finding {
	c := b.Check
	switch c.Kind {
	case "http":
	case "passive":
		return []Finding{b.at().warn(wantedCheck, describe(c)+": an API server that is stopping, or not ready yet, gets connections until they fail")}
	case "tcp":
		return []Finding{connectCheck(b)}
	default:
		return []Finding{b.at().fail(wantedCheck, "no health check")}
	}
	var out []Finding
	switch path, _, _ := strings.Cut(c.Path, "?"); path {
	case "/readyz":
	case "/healthz":
		out = append(out, s.healthzCheck(b))
	case "/livez":
		out = append(out, b.at().fail(wantedCheck, describe(c)+": it stays green while the API server is stopping"))
	default:
		out = append(out, b.at().fail(wantedCheck, describe(c)+": not what an API server says of its readiness"))
	}
	if c.Method != "GET" {
		out = append(out, b.at().fail(wantedCheck, describe(c)+": API servers answer 403 to whoever does not log in and does not GET"))
	}
	if deniedStatus.MatchString(c.Expect) {
		out = append(out, b.at().fail(wantedCheck, fmt.Sprintf("%s, expecting %s: that is answered by an API server that is not ready, too", describe(c), c.Expect)))
	}
	if !c.TLS {
		out = append(out, b.at().fail(wantedCheck, describe(c)+": API servers speak TLS only, and answer 400 to this, ready or not").fixed("Add check-ssl, with verify required ca-file CA, to the servers or to default-server."))
	} else if !c.Verified {
		out = append(out, b.at().warn(wantedCheck, describe(c)+": whoever answers at the address counts as an API server"))
	}
	return out
}

// healthzCheck: /healthz shows an API server that has lost etcd or hangs, not one that is stopping.
// Without a shutdown delay none shows that in time, so that the delay is what is missing first.
func (s *Scene) healthzCheck(b balancer) Finding {
	observed := describe(b.Check) + ": it stays green while the API server is stopping"
	servers := s.Instances(evidence.APIServer)
	told := func(a Instance) bool {
		delay, err := duration(a, "shutdown-delay-duration", 0)
		return err != nil || delay > 0
	}
	if len(servers) > 0 && !slices.ContainsFunc(servers, told) {
		return b.at().warn(wantedCheck, observed)
	}
	return b.at().fail(wantedCheck, observed)
}

// connectCheck says of a check that asks for nothing what it is and what it does not see.
func connectCheck(b balancer) Finding {
	c := b.Check
	text := describe(c)
	if c.Replaces != "" {
		text += ", which makes option " + c.Replaces + " void"
	}
	switch {
	case c.Option == "external-check":
		return b.at().skip("%s: what it looks at is not known", text)
	case c.Option == "ssl-hello-chk":
		text += ": it passes with any answer of TLS, an alert included, while the API server is stopping or not ready; nothing is verified"
	case c.Option != "":
		text += ": API servers do not speak that, and never pass it"
	case c.TLS:
		text += ": it succeeds while the API server is stopping or not ready"
	default:
		text += ": it accepts while it is stopping, and when it hangs"
	}
	return b.at().fail(wantedCheck, text)
}

// uncheckedBackends never leave, though others are checked.
func uncheckedBackends(b balancer) []Finding {
	if b.Check.Kind != "http" && b.Check.Kind != "tcp" {
		return nil
	}
	var out []Finding
	for _, x := range b.Backends {
		if !x.Checked && !x.Backup {
			out = append(out, b.at().fail("a health check of every server", fmt.Sprintf("server %s (%s) has none", x.Name, x.Address)))
		}
	}
	return out
}

func describe(c evidence.HealthCheck) string {
	switch c.Kind {
	case "passive":
		return "failures of real connections only"
	case "tcp":
		return describeConnect(c)
	case "http":
	default:
		return "no health check"
	}
	text := c.Method + " " + cmp.Or(c.Path, "/")
	switch {
	case !c.TLS:
		text += " without TLS"
	case !c.Verified:
		text += " over TLS, unverified"
	case c.Name != "":
		text += " over TLS, verified for " + c.Name
	default:
		text += " over TLS, verified"
	}
	return text
}

// describeConnect is a check that sends nothing, or what its option says.
func describeConnect(c evidence.HealthCheck) string {
	switch {
	case c.Option == "ssl-hello-chk":
		return "a TLS hello only (option ssl-hello-chk, which sends one of SSLv3)"
	case c.Option == "external-check":
		return "a command (option external-check)"
	case c.Option != "":
		return "option " + c.Option
	case c.TLS && c.Verified:
		return "a connect only, with a TLS handshake, verified"
	case c.TLS:
		return "a connect only, with a TLS handshake, unverified"
	}
	return "a connect only"
}

// sees tells whether a health check shows that an API server is stopping.
func sees(c evidence.HealthCheck) bool {
	path, _, _ := strings.Cut(c.Path, "?")
	return c.Kind == "http" && path == "/readyz" && !deniedStatus.MatchString(c.Expect) && c.Detection() > 0
}

// slowest is the load balancer that takes longest to see a stop. One that never
// does is none: lb-health-check says so.
func (s *Scene) slowest() (b balancer, detection time.Duration, ok bool) {
	for _, x := range s.balancers() {
		if d := x.Check.Detection(); x.Err == "" && sees(x.Check) && d > detection {
			b, detection, ok = x, d, true
		}
	}
	return b, detection, ok
}

func lbDetectionTime(s *Scene) []Finding {
	out := s.configured(func(b balancer) []Finding {
		if sees(b.Check) {
			return nil
		}
		return []Finding{b.at().warn("a health check that shows that an API server is stopping", describe(b.Check)+": no shutdown delay helps")}
	})
	b, detection, ok := s.slowest()
	if !ok {
		return out
	}
	servers := s.Instances(evidence.APIServer)
	if len(servers) == 0 {
		return append(out, b.at().skip("it notices within %s; no API server's flags were seen", detection))
	}
	var delays []Finding
	for _, a := range servers {
		delays = append(delays, delayFinding(a, b, detection))
	}
	return append(out, slowBalancer(b, detection, delays)...)
}

// slowBalancer blames the load balancer where it is too slow for all API servers.
func slowBalancer(b balancer, detection time.Duration, delays []Finding) []Finding {
	if slices.ContainsFunc(delays, func(f Finding) bool { return f.Status != Fail }) {
		return delays
	}
	return []Finding{b.at().fail("a stop noticed while API servers go on serving: "+delays[0].Observed, fmt.Sprintf("it takes up to %s", detection))}
}

// delayFinding compares an API server's delay with the load balancer's detection.
// No delay is the default, and kubeadm's: it drops connections but is nobody's mistake.
func delayFinding(a Instance, b balancer, detection time.Duration) Finding {
	delay, err := duration(a, "shutdown-delay-duration", 0)
	if err != nil {
		return a.at().unseen(err.Error())
	}
	expected := fmt.Sprintf("--shutdown-delay-duration above %s, in which %s notices", detection, b.machine.Name)
	observed := "--shutdown-delay-duration=" + delay.String()
	if delay == 0 {
		return a.at().warn(expected, "no shutdown delay (the default): new connections are refused until the load balancer has noticed")
	}
	return a.at().judge(delay > detection, Fail, expected, observed)
}

// duration is the value of a flag that takes one.
func duration(p Instance, flag string, otherwise time.Duration) (time.Duration, error) {
	text, ok := p.Flag(flag)
	if !ok {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("--%s=%s is not a duration", flag, text)
	}
	return d, nil
}
