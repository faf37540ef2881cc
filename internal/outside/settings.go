package outside

import (
	"fmt"
	"strings"
	"time"

	"github.com/haplane/haplane/spec"
)

// delayField is where the cluster file says it.
const delayField = "spec.extraArgs.kube-apiserver." + spec.ShutdownDelay

// Settings are what to set at the load balancer, one thing a line. The delay is how long an API server that stops serves on.
func (b *Balancer) Settings(delay time.Duration) []string {
	var places []string
	for _, p := range b.Places {
		places = append(places, p.String())
	}
	return []string{
		"listen on " + strings.Join(places, ", ") + ": TCP, passed on as it is; TLS ends at the API servers",
		"servers: " + b.all() + "; nobody else. New connections by turns or at random, no stickiness",
		fmt.Sprintf("health check: GET /readyz over TLS, 200 is well; every 2 s, out after 3 failures. It has to notice in less than %s: for so long an API server that stops answers 500 there and serves on (%s)", delay, delayField),
		"2 s of silence are no reason to take a server out: all are silent while etcd's leader moves. Where none is well, send to all and not to nobody",
		"a server that does not take a connection: try another one. Connections that are open stay open when a server is unready",
		fmt.Sprintf("idle time-outs of both sides: %s and more", wantedIdle),
		"reachable from this host and from every machine, also where it leads back to the machine that asks",
	}
}
