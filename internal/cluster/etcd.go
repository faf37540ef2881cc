package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// etcd returns a client of all members.
func (e *env) etcd() (*etcdapi.Client, error) {
	pair := e.keys.Pairs[pki.EtcdHealthcheckClient]
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", pki.EtcdHealthcheckClient, err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(e.keys.Pairs[pki.EtcdCA].Cert)
	var endpoints []string
	for _, n := range e.topology.EtcdMembers() {
		endpoints = append(endpoints, n.EtcdClientURL())
	}
	return etcdapi.Dial(endpoints, &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS12})
}

// memberHealthy asks the node's member whether it sees a quorum.
func (e *env) memberHealthy(ctx context.Context, n topology.Node) error {
	return bounded(ctx, func(ctx context.Context) error {
		client, err := e.etcd()
		if err != nil {
			return err
		}
		defer client.Close()
		members, err := client.Members(ctx)
		if err != nil {
			return err
		}
		for _, s := range client.Statuses(ctx, members) {
			if s.Member.Name == n.Name && s.Healthy {
				return nil
			} else if s.Member.Name == n.Name {
				return errors.New(s.Error)
			}
		}
		return fmt.Errorf("%s is no member of etcd", n.Name)
	})
}
