package collect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A trouble is why the API did not answer.
type trouble int

const (
	otherTrouble trouble = iota
	tooSlow
	silent
	unreachable
	notTrusted
	refused   // the credentials
	forbidden // by RBAC
)

func kindOf(err error) trouble {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var alert tls.AlertError
	var network net.Error
	var op *net.OpError
	var nothing silence
	switch {
	case errors.As(err, &nothing):
		return silent
	case errors.Is(err, context.DeadlineExceeded):
		return tooSlow
	case apierrors.IsUnauthorized(err), errors.As(err, &alert):
		return refused
	case apierrors.IsForbidden(err):
		return forbidden
	case errors.As(err, &verify), errors.As(err, &authority):
		return notTrusted
	case errors.As(err, &op), errors.Is(err, io.EOF):
		return unreachable
	case errors.As(err, &network) && network.Timeout():
		return tooSlow
	}
	return otherTrouble
}

// tell is an error without the request that it came of, which its source names.
func (t trouble) tell(err error, timeout time.Duration) string {
	if t == tooSlow {
		return fmt.Sprintf("no answer within %s", timeout)
	}
	return plain(err)
}

func (t trouble) fix(l look, context string) string {
	switch t {
	case tooSlow:
		return "Find out why the API server does not answer: its log, etcd, the load balancer. A slow one may need more than --timeout."
	case silent:
		return "Find out why the API server takes connections and says nothing: whether its process is stopped, its log, etcd, the load balancer."
	case unreachable:
		return fmt.Sprintf("Check that the server of context %s is right, runs, and is reachable from here.", context)
	case notTrusted:
		return fmt.Sprintf("Check certificate-authority-data and tls-server-name of the cluster of context %s against the certificate of the API server.", context)
	case refused:
		return fmt.Sprintf("Renew the credentials of context %s, or choose another context.", context)
	case forbidden:
		return fmt.Sprintf("Give the user of context %s the right to %s, or choose another context.", context, l.right)
	}
	return fmt.Sprintf("See what 'kubectl --context %s get --raw /readyz' says.", context)
}
