package collect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
)

// handshake returns the certificates that a server presents, even where they do not
// verify: seeing them is the point, and nothing is sent over this connection.
func (t target) handshake(ctx context.Context, limit time.Duration) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, silence{limit})
	defer cancel()
	var chain []*x509.Certificate
	dialer := tls.Dialer{Config: &tls.Config{
		ServerName:         t.serverName,
		InsecureSkipVerify: true, // verify does it, and tells why not
		VerifyConnection: func(s tls.ConnectionState) error {
			chain = s.PeerCertificates
			return nil
		},
	}}
	conn, err := dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return chain, orSilence(ctx, err)
	}
	return chain, conn.Close()
}

// verify checks a chain as a client of the API does. Roots nil are the host's own.
func verify(chain []*x509.Certificate, roots *x509.CertPool, name string) error {
	if len(chain) == 0 {
		return errors.New("no certificate was presented")
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

func hasCredentials(c *rest.Config) bool {
	return c.BearerToken != "" || c.BearerTokenFile != "" || c.Username != "" || c.ExecProvider != nil || c.AuthProvider != nil ||
		len(c.CertData) > 0 || c.CertFile != ""
}

// plain is an error without the request that it came of.
func plain(err error) string {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}

// orSilence is an error, or that the server said nothing until its time was over.
func orSilence(ctx context.Context, err error) error {
	if hung := (silence{}); err != nil && errors.As(context.Cause(ctx), &hung) {
		return hung
	}
	return err
}
