package main

// The lane of each row of upkeep that asks with a token which was signed before the change began: it must never be answered 401.

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/probe"
)

// A tokenOf says whose token asks while a cluster changes. It is made before the change begins, so that the
// key of that time has signed it.
type tokenOf int

const (
	nobody tokenOf = iota // the load balancer moves, or the API is away
	ofPod                 // of a pod that stays
	ofAccount
)

// mayRead lets the account of CoreDNS, whose tokens are asked with, read what the lane asks for.
func (u *upkeep) mayRead(ctx context.Context) error {
	return ok(u.Kubectl(ctx, "create", "clusterrolebinding", "bench-reads", "--clusterrole=view", "--serviceaccount=kube-system:coredns"))
}

// newToken is one of the account of CoreDNS, bound to one of its pods where that is wanted.
func (u *upkeep) newToken(ctx context.Context, of tokenOf) (string, error) {
	args := []string{"--namespace", "kube-system", "create", "token", "coredns"}
	if of == ofPod {
		pods := u.Kubectl(ctx, "--namespace", "kube-system", "get", "pods", "--selector", "k8s-app=kube-dns", "--output", `jsonpath={.items[?(@.status.phase=="Running")].metadata.name}`)
		names := strings.Fields(pods.Stdout)
		if err := ok(pods); err != nil {
			return "", err
		}
		if len(names) == 0 {
			return "", fmt.Errorf("no pod of CoreDNS runs")
		}
		args = append(args, "--bound-object-kind", "Pod", "--bound-object-name", names[0])
	}
	made := u.Kubectl(ctx, args...)
	return strings.TrimSpace(made.Stdout), ok(made)
}

// config is how haplane's user reaches the API.
func (u *upkeep) config(ctx context.Context) (*rest.Config, error) {
	raw := u.Run(ctx, "kubeconfig", "--cluster", u.Name, "--raw")
	if err := ok(raw); err != nil {
		return nil, err
	}
	return clientcmd.RESTConfigFromKubeConfig([]byte(raw.Stdout))
}

// askWithToken begins a lane that asks with a token, through the load balancer and on one connection: that costs least. What ends it tells what it saw.
func (u *upkeep) askWithToken(ctx context.Context, of tokenOf) (end func() lanes.Measured, err error) {
	if of == nobody {
		return func() lanes.Measured { return lanes.Measured{} }, nil
	}
	config, err := u.config(ctx)
	if err != nil {
		return nil, err
	}
	token, err := u.newToken(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("make token: %w", err)
	}
	return askWith(ctx, config.Host, token, u.options.rate)
}

func askWith(ctx context.Context, host, token string, rate float64) (func() lanes.Measured, error) {
	// Pods read the authority's file again when it changes; whom the API server takes for whom is what this is about.
	config := &rest.Config{Host: host, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	made, err := kubeprobe.ForConfig(config, nil).Lanes(kubeprobe.LBReused)
	if err != nil {
		return nil, err
	}
	lane, unauthorized, send := made[0], new(atomic.Int64), made[0].Send
	lane.Name = "token"
	lane.Send = func(ctx context.Context) error {
		err := send(ctx)
		if err != nil && lanes.Unauthorized(err.Error()) {
			unauthorized.Add(1)
		}
		return err
	}
	session, err := probe.Start(ctx, []probe.Lane{lane}, probe.Options{Rate: rate})
	if err != nil {
		return nil, err
	}
	return func() lanes.Measured {
		seen := measured(session.Stop())
		seen.Unauthorized, seen.CPUShare, seen.Rate = int(unauthorized.Load()), 0, 0 // haplane tells of its own
		return seen
	}, nil
}

// measured is what a session of this process saw.
func measured(r probe.Report) lanes.Measured {
	out, err := lanes.FromReport(r)
	if err != nil {
		out.Unmeasured = append(out.Unmeasured, err.Error())
	}
	return out
}
