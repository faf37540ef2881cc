package balancers

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// held is how many watches clients have through each load balancer, as kubelets and controllers
// do: for hours, on whichever server they came to. They make the server that
// came back last the one with the fewest connections.
const held = 12

// rewatch is the pause of a client before it opens a watch again.
const rewatch = 100 * time.Millisecond

// hold opens the watches, and again when one ends, until stop is called.
func hold(ctx context.Context, o Options, all []*balancer) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, b := range all {
		transport := &http.Transport{TLSClientConfig: o.TLS.Clone(), DisableKeepAlives: true}
		for range held {
			running.Go(func() {
				for ctx.Err() == nil {
					watch(ctx, transport, "https://"+b.listen+o.Watch)
					_ = sleep(ctx, rewatch)
				}
			})
		}
	}
	return func() { cancel(); running.Wait() }
}

// watch lasts until something ends it. What it tells is of no interest.
func watch(ctx context.Context, transport *http.Transport, url string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
}
