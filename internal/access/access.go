// Package access is the way to every part of one cluster: its machines, API
// servers, etcd members and load balancers, each with the credentials that it takes.
package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"

	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/kubeconfig"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/outside"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// RequestTimeout bounds one question.
const RequestTimeout = 5 * time.Second

// A Cluster is what its parts are reached by.
type Cluster struct {
	Topology *topology.Topology
	Keys     pki.Bundle
	// Machine returns the machine of a node; it connects with the first command.
	Machine func(node string) machine.Machine
	// Entrance is the URL of the load balancer while that moves; nil is where the topology has it.
	Entrance func() string
}

// API returns a client of the API servers behind the load balancer, with all rights.
func (c *Cluster) API() (*kubeapi.Client, error) {
	if c.Entrance != nil {
		return c.client(c.Entrance(), topology.KubernetesName)
	}
	return c.client(c.Topology.APIEndpoint(), "")
}

// APIOf returns a client of one node's API server.
func (c *Cluster) APIOf(n topology.Node) (*kubeapi.Client, error) {
	return c.client(n.APIServer(), topology.KubernetesName)
}

func (c *Cluster) client(server, serverName string) (*kubeapi.Client, error) {
	data, err := c.Kubeconfig(pki.SuperAdmin, server, serverName).Bytes()
	if err != nil {
		return nil, err
	}
	return kubeapi.FromKubeconfig(data)
}

// Kubeconfig is that of a user of the catalogue of certificates.
func (c *Cluster) Kubeconfig(user, server, serverName string) kubeconfig.Config {
	client := c.Keys.Pairs[user]
	return kubeconfig.Config{Cluster: c.Topology.Name, Server: server, TLSServerName: serverName,
		CA: c.Keys.Trusted(pki.CA), Cert: client.Cert, Key: client.Key}
}

// Etcd returns a client of the members on the nodes.
func (c *Cluster) Etcd(nodes []topology.Node) (*etcdapi.Client, error) {
	pair := c.Keys.Pairs[pki.EtcdHealthcheckClient]
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", pki.EtcdHealthcheckClient, err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.Keys.Trusted(pki.EtcdCA))
	var endpoints []string
	for _, n := range nodes {
		endpoints = append(endpoints, n.EtcdClientURL())
	}
	return etcdapi.Dial(endpoints, &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS12})
}

// Balancer returns a client of the HAProxy on a node.
func (c *Cluster) Balancer(n topology.Node) *haproxyapi.Client {
	return haproxyapi.New(haproxyapi.OnMachine(c.Machine(n.Name)))
}

// Outside is the load balancer that somebody else configures, before the API servers of these nodes.
func (c *Cluster) Outside(nodes []topology.Node) (*outside.Balancer, error) {
	pair := c.Keys.Pairs[pki.SuperAdmin]
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", pki.SuperAdmin, err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.Keys.Trusted(pki.CA))
	b := &outside.Balancer{Places: c.Topology.LBPlaces(), TLS: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS12}}
	for _, n := range nodes {
		b.Servers = append(b.Servers, outside.Server{Node: n.Name, Address: netip.AddrPortFrom(n.Address, topology.APIServerPort)})
	}
	return b, nil
}

// Ready asks the API server of a node, past the load balancer.
func (c *Cluster) Ready(ctx context.Context, n topology.Node) error {
	client, err := c.APIOf(n)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	return client.ReadyZ(ctx)
}
