package outside

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// The checks of a load balancer from outside.
const (
	Answers     = "lb-answers"      // something answers, and leads to an API server
	PassesTLS   = "lb-passes-tls"   // TLS ends at the API servers
	OnlyReady   = "lb-only-ready"   // each new connection leads to a server that serves
	HasAll      = "lb-has-all"      // all API servers are behind it
	OursAlone   = "lb-ours-alone"   // and nobody else
	FromNodes   = "lb-from-nodes"   // nodes get through, also to themselves
	LetsStop    = "lb-lets-stop"    // a server that stops costs nobody a connection
	HeedsReadyz = "lb-heeds-readyz" // it asks /readyz, and not only whether a port is open
	KeepsIdle   = "lb-keeps-idle"   // a connection without traffic stays open
)

// A Finding is a check that failed: what was seen, and what to set at the load balancer.
type Finding struct{ Check, Saw, Set string }

func (f *Finding) Error() string { return fmt.Sprintf("%s: %s; %s", f.Check, f.Saw, f.Set) }

// Findings judges a view for servers that are to be behind the load balancer.
func (b *Balancer) Findings(v View, wanted []string) []error {
	if v.Terminated != nil {
		return []error{b.terminated(v.Place, v.Terminated)}
	}
	missing := v.Missing(wanted)
	if len(v.Answered) == 0 && v.Unknown == 0 && v.failed() > 0 {
		return []error{&Finding{Answers, fmt.Sprintf("of %d connections to %s none got through: %s", v.Tries, v.Place, reasons(v.Failed)),
			"lead TCP connections there to " + b.all()}}
	}
	var out []error
	if v.failed() > 0 {
		out = append(out, &Finding{OnlyReady, fmt.Sprintf("%d of %d new connections to %s failed: %s", v.failed(), v.Tries, v.Place, reasons(v.Failed)),
			fmt.Sprintf("let it have no other servers than %s, and try another one where one does not take a connection", b.all())})
	}
	if v.Unknown > 0 {
		out = append(out, &Finding{OursAlone, fmt.Sprintf("connections to %s lead to an API server that is none of %s", v.Place, names(b.Servers)),
			"take all others out of its servers"})
	}
	// Connections that fail may be those to the server that is missed, and after those to strangers no more were made: then that is not known yet.
	if len(missing) > 0 && (v.failed()+v.Unknown == 0 || v.Tries >= atMost*len(b.Servers)) {
		out = append(out, &Finding{HasAll, fmt.Sprintf("of %d new connections to %s none led to %s (%s)", v.Tries, v.Place, strings.Join(missing, ", "), counts(v.Answered)),
			fmt.Sprintf("add %s to its servers, and spread new connections by turns or at random, not by the client's address", b.list(missing))})
	}
	return out
}

func (b *Balancer) terminated(place netip.AddrPort, err error) error {
	return &Finding{PassesTLS, fmt.Sprintf("%s: %v", place, err), "let it pass TCP on as it is, without a certificate of its own, to nothing but this cluster's API servers"}
}

// Findings judges how a server left and came back, whose shutdown takes the delay in which it serves and calls itself
// unready. What is no failure, and not as it should be, is a warning.
func (d Departure) Findings(delay time.Duration) (failures []error, warning string) {
	late := d.Reached > max(0, delay-margin)
	check := fmt.Sprintf("ask GET /readyz over TLS, so often that %s (%s) is more than interval times failures and the time-out of one check together", delay, delayField)
	if len(d.Failed) > 0 {
		saw := fmt.Sprintf("while the API server of %s stopped in order and started again, %d of %d new connections failed: %s", d.Node, d.failed(), d.Tries, reasons(d.Failed))
		if late {
			saw += fmt.Sprintf("; it was sent new ones %s after it had begun to answer 500 on /readyz", d.Reached.Round(100*time.Millisecond))
		}
		return []error{&Finding{LetsStop, saw, check + "; and try another server where one does not take a connection"}}, ""
	}
	if late {
		return nil, (&Finding{HeedsReadyz, fmt.Sprintf("the API server of %s was sent new connections until its port closed, %s after it had begun to answer 500 on /readyz: none failed, for they were tried elsewhere; but one that serves badly, without etcd for instance, would get requests too",
			d.Node, d.Reached.Round(100*time.Millisecond)), check}).Error()
	}
	return nil, ""
}

// idleFinding is a connection that was ended after a time without traffic.
func idleFinding(place netip.AddrPort, after time.Duration, err error) error {
	return &Finding{KeepsIdle, fmt.Sprintf("a watch through %s on which nothing was sent was ended after %s: %v", place, after.Round(100*time.Millisecond), err),
		fmt.Sprintf("let connections be idle for %s and more, on both sides", wantedIdle)}
}

// reasons lists why connections failed, with how many of each.
func reasons(failed map[string]int) string {
	var out []string
	for _, why := range sortedKeys(failed) {
		if len(failed) > 1 {
			why = fmt.Sprintf("%d: %s", failed[why], why)
		}
		out = append(out, why)
	}
	return strings.Join(out, "; ")
}

func counts(answered map[string]int) string {
	var out []string
	for _, node := range sortedKeys(answered) {
		out = append(out, fmt.Sprintf("%s: %d", node, answered[node]))
	}
	return strings.Join(out, ", ")
}

func names(servers []Server) string {
	var out []string
	for _, s := range servers {
		out = append(out, s.Node)
	}
	return strings.Join(out, ", ")
}

// all has every server with its address.
func (b *Balancer) all() string {
	var out []string
	for _, s := range b.Servers {
		out = append(out, fmt.Sprintf("%s %s", s.Node, s.Address))
	}
	return strings.Join(out, ", ")
}

// list has servers with their addresses.
func (b *Balancer) list(nodes []string) string {
	var out []string
	for _, name := range nodes {
		for _, s := range b.Servers {
			if s.Node == name {
				out = append(out, fmt.Sprintf("%s %s", name, s.Address))
			}
		}
	}
	return strings.Join(out, ", ")
}
