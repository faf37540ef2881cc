package collect

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// userAgent is what the audit log calls us.
const userAgent = "haplane-xray"

// API reads what the API shows, all of it at once and until the timeout; a server that
// says nothing at all is given up before. What cannot be read is missing, and the rest is there.
func API(ctx context.Context, config *rest.Config, contextName string, timeout time.Duration) (*evidence.Cluster, []evidence.Missing) {
	out := &evidence.Cluster{Server: config.Host, Context: contextName}
	var clock clock
	config = quiet(config, &clock)
	if timeout > hungAfter {
		config.Wrap((&listener{limit: hungAfter}).wrap)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return out, []evidence.Missing{{Way: evidence.API, Source: "kubeconfig, context " + contextName, Err: err.Error(),
			Fix: "Correct the certificates and the credentials of this context."}}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	missing := readAll(ctx, client, out, timeout)
	out.Ahead = clock.ahead()
	return out, missing
}

// quiet is a configuration that prints no warnings, waits for no quota of its own
// and times the answers.
func quiet(config *rest.Config, clock *clock) *rest.Config {
	config = rest.CopyConfig(config)
	config.UserAgent = userAgent
	config.QPS = -1
	config.WarningHandlerWithContext = rest.NoWarnings{} // Endpoints are deprecated, and looked at all the same
	config.Wrap(clock.wrap)
	return config
}

// A reading is what one request put into the evidence, or why it could not.
type reading struct {
	look look
	put  func(*evidence.Cluster)
	err  error
}

// readAll looks at everything. A look that does not come back in time, such as one
// that waits for a credential plugin, is left behind.
func readAll(ctx context.Context, client kubernetes.Interface, out *evidence.Cluster, timeout time.Duration) []evidence.Missing {
	failed := readings(ctx, client, out, looks)
	if len(failed) == len(looks) {
		return missing(out, failed, timeout, true)
	}
	failed = append(failed, readings(ctx, client, out, furtherLooks(out))...)
	return append(missing(out, failed, timeout, false), tooMany(out)...)
}

// readings takes all looks at once, and returns those that failed.
func readings(ctx context.Context, client kubernetes.Interface, out *evidence.Cluster, looks []look) []reading {
	all := make([]reading, len(looks))
	var group sync.WaitGroup
	for i, l := range looks {
		group.Go(func() { all[i] = l.within(ctx, client) })
	}
	group.Wait()
	var failed []reading
	for _, r := range all {
		if r.err != nil {
			failed = append(failed, r)
			continue
		}
		r.put(out)
	}
	return failed
}

func (l look) within(ctx context.Context, client kubernetes.Interface) reading {
	done := make(chan reading, 1)
	go func() {
		put, err := l.read(ctx, client)
		done <- reading{l, put, err}
	}()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
		return reading{look: l, err: ctx.Err()}
	}
}

// missing says what could not be read. Where nothing could, and for one reason, it
// is said once.
func missing(c *evidence.Cluster, failed []reading, timeout time.Duration, nothing bool) []evidence.Missing {
	out := []evidence.Missing{}
	kinds := map[trouble]bool{}
	for _, r := range failed {
		kind := kindOf(r.err)
		kinds[kind] = true
		out = append(out, evidence.Missing{Way: evidence.API, Source: fmt.Sprintf("%s at %s", r.look.what, c.Server),
			Err: kind.tell(r.err, timeout), Fix: kind.fix(r.look, c.Context)})
	}
	if nothing && len(kinds) == 1 {
		out = out[:1]
		out[0].Source = c.Server
	}
	return out
}
