package kubeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// Handshake returns the certificates that a TLS server at the address, host:port, serves now, its own first, which it
// does not check, and the subjects, in DER, of the authorities whose clients it accepts. It shows no
// certificate, and sends nothing.
func Handshake(ctx context.Context, address, serverName string) (served []*x509.Certificate, accepts [][]byte, err error) {
	config := &tls.Config{InsecureSkipVerify: true, ServerName: serverName, MinVersion: tls.VersionTLS12, // what it serves is what is asked
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			accepts = info.AcceptableCAs
			return &tls.Certificate{}, nil
		}}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("ask %s for its certificate: %w", address, err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates, accepts, nil
}
