package cluster

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/outside"
)

// What status says of a load balancer that is somebody else's, by what connections through it saw.
func TestStatusOfSomebodyElsesLoadBalancer(t *testing.T) {
	place := netip.MustParseAddrPort("10.20.0.5:6443")
	b := &outside.Balancer{Places: []netip.AddrPort{place}, Servers: []outside.Server{
		{Node: "cp-1", Address: netip.MustParseAddrPort("10.10.10.11:6443")}, {Node: "cp-2", Address: netip.MustParseAddrPort("10.10.10.12:6443")}}}
	both := []string{"cp-1", "cp-2"}
	for _, test := range []struct {
		name   string
		view   outside.View
		ready  []string
		failed error
		want   LBStatus
		warns  string // part of the one warning; none
		err    string
	}{
		{"leads to both", outside.View{Place: place, Tries: 6, Answered: map[string]int{"cp-1": 3, "cp-2": 3}}, both, nil,
			LBStatus{External: true, HoldsAddress: true, Backends: []BackendStatus{{"cp-1", true}, {"cp-2", true}}}, "", ""},
		{"one is missing there", outside.View{Place: place, Tries: 20, Answered: map[string]int{"cp-1": 20}}, both, nil,
			LBStatus{External: true, HoldsAddress: true, Backends: []BackendStatus{{"cp-1", true}, {"cp-2", false}}}, "lb-has-all: of 20 new connections to 10.20.0.5:6443 none led to cp-2", ""},
		{"one is not ready", outside.View{Place: place, Tries: 6, Answered: map[string]int{"cp-1": 6}}, []string{"cp-1"}, nil,
			LBStatus{External: true, HoldsAddress: true, Backends: []BackendStatus{{"cp-1", true}, {"cp-2", false}}}, "", ""},
		{"nobody is there", outside.View{Place: place, Tries: 4, Failed: map[string]int{"connection refused": 4}}, both, nil,
			LBStatus{External: true, Backends: []BackendStatus{{"cp-1", false}, {"cp-2", false}}}, "lb-answers: of 4 connections", ""},
		{"it took too long, and what failed is told", outside.View{Place: place, Tries: 1, Failed: map[string]int{"no answer within 3s": 1}}, both, context.DeadlineExceeded,
			LBStatus{External: true, Error: "context deadline exceeded", Backends: []BackendStatus{{"cp-1", false}, {"cp-2", false}}}, "none got through: no answer within 3s", "from outside: context deadline exceeded"},
		{"cut off before it was known who is missing", outside.View{Place: place, Tries: 1, Answered: map[string]int{"cp-1": 1}}, both, context.DeadlineExceeded,
			LBStatus{External: true, HoldsAddress: true, Error: "context deadline exceeded", Backends: []BackendStatus{{"cp-1", true}, {"cp-2", false}}}, "", "from outside: "},
		{"nobody is ready", outside.View{Place: place}, nil, nil,
			LBStatus{External: true, Error: "no API server is ready that could be behind it", Backends: []BackendStatus{{"cp-1", false}, {"cp-2", false}}}, "", "no API server is ready"},
		{"one did not answer past it", outside.View{Place: place}, both, errors.New("cp-2, past the load balancer: no answer within 3s\n"),
			LBStatus{External: true, Error: "cp-2, past the load balancer: no answer within 3s", Backends: []BackendStatus{{"cp-1", false}, {"cp-2", false}}}, "", "cp-2, past the load balancer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			lb, warnings, err := seenThrough(b, test.view, test.ready, test.failed)
			if diff := cmp.Diff(test.want, lb); diff != "" {
				t.Error(diff)
			}
			if said := strings.Join(warnings, "\n"); len(warnings) > 1 || (said == "") != (test.warns == "") || !strings.Contains(said, test.warns) {
				t.Errorf("warnings are %q, want %q", warnings, test.warns)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error is %v, want %q", err, test.err)
			}
		})
	}
}
