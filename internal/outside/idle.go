package outside

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// Times for which a connection is without traffic. client-go asks a server that says nothing for a sign of life after
// 30 s (k8s.io/apimachinery/pkg/util/net, readIdleTimeout); other clients, and what is attached to a pod, may be silent for hours.
const (
	leastIdle  = 45 * time.Second // that has to be seen
	wantedIdle = 4 * time.Hour    // after which kubelet ends an idle stream (streamingConnectionIdleTimeout)
)

// quietWatch is a watch on which nothing happens: of an object that nobody makes.
const quietWatch = "/api/v1/namespaces/kube-system/configmaps?watch=true&timeoutSeconds=600&fieldSelector=metadata.name%3Dhaplane-nobody-makes-this"

// Idle holds a watch on which nothing happens through the load balancer, and returns how long it was idle for: at least
// 45 s, or it was ended and the error is a *Finding. Longer was not looked at.
func (b *Balancer) Idle(ctx context.Context) (time.Duration, error) { return b.idle(ctx, leastIdle) }

func (b *Balancer) idle(ctx context.Context, least time.Duration) (time.Duration, error) {
	place := b.Places[0]
	c, err := b.ask(ctx, place.String(), place.Addr().String())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	_ = c.SetDeadline(time.Now().Add(askTimeout))
	answer, err := c.get(quietWatch)
	if err != nil {
		return 0, plain(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, errors.New("watch: an API server answered " + answer.Status)
	}
	began := time.Now()
	_ = c.SetDeadline(began.Add(least))
	_, err = io.Copy(io.Discard, answer.Body)
	idle := time.Since(began)
	switch {
	case ctx.Err() != nil:
		return idle, ctx.Err()
	case idle >= least:
		return idle, nil
	case err == nil:
		err = errors.New("it was closed")
	}
	return idle, idleFinding(place, idle, plain(err))
}
