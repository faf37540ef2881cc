// Package kubeapi is a thin client of the Kubernetes API: what haplane asks of a
// control plane, and server-side apply of manifests.
package kubeapi

import (
	"context"
	"fmt"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// FieldManager owns the fields that Apply sets.
const FieldManager = "haplane"

// A Client asks one API server, or the load balancer before several. Every method
// ends with its ctx, and every error names the server.
type Client struct {
	server  string
	typed   kubernetes.Interface
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

// New returns a client; it does not connect yet.
func New(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = FieldManager
	// The API server has priority and fairness; a second limit here only delays.
	config.QPS = -1
	config.WarningHandlerWithContext = rest.NoWarnings{} // standard error is the view's
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", config.Host, err)
	}
	dynamic, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", config.Host, err)
	}
	return newClient(config.Host, typed, dynamic, typed.Discovery()), nil
}

// FromKubeconfig returns a client for the current context of a kubeconfig.
func FromKubeconfig(kubeconfig []byte) (*Client, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return New(config)
}

func newClient(server string, typed kubernetes.Interface, dynamic dynamic.Interface, d discovery.DiscoveryInterface) *Client {
	return &Client{
		server: server, typed: typed, dynamic: dynamic,
		mapper: restmapper.NewDeferredDiscoveryRESTMapperWithContext(memory.NewMemCacheClientWithContext(discovery.ToDiscoveryInterfaceWithContext(d))),
	}
}

// Server is the address that the client was made for, such as https://10.10.10.3:6443.
func (c *Client) Server() string { return c.server }

// Typed is client-go's own client, for what this package has no word for.
func (c *Client) Typed() kubernetes.Interface { return c.typed }

// ReadyZ asks /readyz. A server that answers and is not ready gives a *NotReadyError.
func (c *Client) ReadyZ(ctx context.Context) error {
	result := c.typed.Discovery().RESTClient().Get().AbsPath("/readyz").Param("verbose", "").MaxRetries(0).Do(ctx)
	body, err := result.Raw()
	if err == nil {
		return nil
	}
	if failed := failedChecks(body); len(failed) > 0 {
		return &NotReadyError{Server: c.server, Failed: failed}
	}
	return c.errorf("ask /readyz", err)
}

func (c *Client) errorf(what string, err error) error {
	return fmt.Errorf("%s at %s: %w", what, c.server, err)
}
