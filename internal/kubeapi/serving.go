package kubeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ServingCertificates returns the certificates that a TLS server at the address, host:port,
// serves now under the server name, its own first, which it checks against the CA. An empty name is the
// address's host. It shows no certificate of its own; servers that ask for one still serve theirs first.
func ServingCertificates(ctx context.Context, address, serverName string, caPEM []byte) ([]*x509.Certificate, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(caPEM) {
		return nil, fmt.Errorf("ask %s for its certificate: %w", address, errors.New("no CA certificate to check it with"))
	}
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: serverName, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its certificate: %w", address, err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates, nil
}
