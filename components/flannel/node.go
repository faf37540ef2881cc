package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	log "k8s.io/klog/v2"
)

const (
	waitInterval  = time.Second
	guardInterval = 10 * time.Second
	callTimeout   = 5 * time.Second
)

// self is this machine's Node, seen through the API.
type self struct {
	client kubernetes.Interface
	name   string
}

func newSelf(o options) (*self, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &self{client: client, name: o.nodeName}, nil
}

// get reads from the API server's cache: an answer that is a moment old will do.
func (s *self) get(ctx context.Context) (*v1.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.client.CoreV1().Nodes().Get(ctx, s.name, metav1.GetOptions{ResourceVersion: "0"})
}

// wait returns the Node once it can be leased. It waits as long as that takes
// and says why whenever the reason changes.
func (s *self) wait(ctx context.Context) (*v1.Node, error) {
	var said string
	for {
		node, err := s.get(ctx)
		if err == nil {
			err = leasable(node)
		}
		if err == nil {
			return node, nil
		}
		if err.Error() != said {
			said = err.Error()
			log.InfoS("waiting for the node", "node", s.name, "reason", said)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(waitInterval):
		}
	}
}

func leasable(node *v1.Node) error {
	switch {
	case len(node.Spec.PodCIDRs) == 0:
		return errors.New("has no pod CIDR yet")
	case len(node.Annotations) == 0:
		// flannel v0.28 panics on such a node. kubelet registers with an
		// annotation, and the TTL controller adds one to every node.
		return errors.New("has no annotations yet")
	}
	return nil
}

// guard returns when the lease no longer holds: the Node was deleted and
// registered anew (its annotations are gone and with them the other nodes'
// routes to here) or its pod CIDRs changed. An API server that does not answer is no reason.
func (s *self) guard(ctx context.Context, leased *v1.Node) error {
	ticker := time.NewTicker(guardInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		node, err := s.get(ctx)
		switch {
		case apierrors.IsNotFound(err):
			return fmt.Errorf("node %s was deleted", s.name)
		case err != nil:
			log.V(2).InfoS("cannot look at the node", "node", s.name, "err", err)
		case node.UID != leased.UID:
			return fmt.Errorf("node %s was registered anew", s.name)
		case !slices.Equal(node.Spec.PodCIDRs, leased.Spec.PodCIDRs):
			return fmt.Errorf("node %s: pod CIDRs changed from %v to %v", s.name, leased.Spec.PodCIDRs, node.Spec.PodCIDRs)
		}
	}
}
