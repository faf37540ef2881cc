package kubeapi

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestIsTransient(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"cut off":       {&url.Error{Op: "Patch", URL: "https://lb", Err: io.ErrUnexpectedEOF}, true},
		"closed":        {&url.Error{Op: "Patch", URL: "https://lb", Err: io.EOF}, true},
		"reset":         {syscall.ECONNRESET, true},
		"refused":       {syscall.ECONNREFUSED, true},
		"nobody has it": {&url.Error{Op: "Get", URL: "https://lb", Err: syscall.EHOSTUNREACH}, true},
		"too slow":      {context.DeadlineExceeded, true},
		"too many":      {apierrors.NewTooManyRequests("later", 1), true},
		"not ready":     {apierrors.NewServiceUnavailable("soon"), true},
		"forbidden":     {apierrors.NewForbidden(pods, "a", errors.New("no")), false},
		"not found":     {apierrors.NewNotFound(pods, "a"), false},
		"untrusted":     {&url.Error{Op: "Get", URL: "https://lb", Err: x509.UnknownAuthorityError{}}, false},
		"interrupted":   {context.Canceled, false},
		"nothing wrong": {nil, false},
	} {
		if got := IsTransient(fmt.Errorf("apply: %w", c.err)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestIsAddressTaken(t *testing.T) {
	invalid := func(why string) error {
		at := field.NewPath("spec", "clusterIPs")
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "kube-dns", field.ErrorList{field.Invalid(at, []string{"10.96.0.10"}, why)})
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"taken":         {invalid("failed to allocate IP 10.96.0.10: provided IP is already allocated"), true},
		"not yet":       {invalid("failed to allocate IP 10.96.0.10: allocator not ready"), true},
		"outside":       {invalid("failed to allocate IP 10.96.0.10: the provided IP is not in the valid range"), false},
		"of other kind": {errors.New("provided IP is already allocated"), false},
		"nothing wrong": {nil, false},
	} {
		if got := IsAddressTaken(fmt.Errorf("apply: %w", c.err)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
