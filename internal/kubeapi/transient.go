package kubeapi

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// IsTransient tells an error after which the same request may well succeed: an API
// server that went while it was asked, was not reached, or has too much to do. It
// says nothing of whether the request was carried out.
func IsTransient(err error) bool {
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || utilnet.IsProbableEOF(err) ||
		utilnet.IsConnectionReset(err) || utilnet.IsConnectionRefused(err) || utilnet.IsHTTP2ConnectionLost(err) ||
		errors.Is(err, syscall.EHOSTUNREACH) || // an address that moves, and is on no machine
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err)
}

// IsAddressTaken tells an error of a Service whose address is given to somebody, or cannot be given yet. Who has it may be another Service,
// or one whose request was cut off: its API server takes that back at once, or where it is gone, another one does after a minute.
func IsAddressTaken(err error) bool {
	return apierrors.IsInvalid(err) && (strings.Contains(err.Error(), "provided IP is already allocated") || strings.Contains(err.Error(), "allocator not ready"))
}
