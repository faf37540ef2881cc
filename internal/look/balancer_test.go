package look

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/observed"
)

// A runtimeAPI answers commands as HAProxy does.
type runtimeAPI map[string]string

func (r runtimeAPI) Command(_ context.Context, text string) (string, error) {
	if answer, ok := r[text]; ok {
		return answer, nil
	}
	return "", errors.New("no answer to " + text)
}

func TestBalancerKnowsWhatDrains(t *testing.T) {
	hap := runtimeAPI{
		"show stat": "# pxname,svname,status\nin,FRONTEND,OPEN\nkube-apiserver,cp-1,UP\nkube-apiserver,cp-2,DRAIN\nkube-apiserver,cp-3,DOWN\nkube-apiserver,cp-4,DOWN\nkube-apiserver-last-resort,cp-1,DOWN\nkube-apiserver,BACKEND,UP\n",
		"show servers state": "1\n# be_name srv_name srv_addr srv_port srv_op_state srv_admin_state\n" +
			"kube-apiserver cp-1 10.0.0.1 6443 2 0\nkube-apiserver cp-2 10.0.0.2 6443 2 8\nkube-apiserver cp-3 10.0.0.3 6443 0 8\nkube-apiserver cp-4 10.0.0.4 6443 0 0\nkube-apiserver-last-resort cp-1 10.0.0.1 6443 2 0\nkube-apiserver-last-resort cp-4 10.0.0.4 6443 2 8\n",
	}
	want := observed.Balancer{Seen: true, Servers: map[string]bool{"cp-1": true, "cp-2": false, "cp-3": false, "cp-4": false},
		Draining: map[string]bool{"cp-1": false, "cp-2": true, "cp-3": true, "cp-4": true}}
	if diff := cmp.Diff(want, Balancer(t.Context(), haproxyapi.New(hap))); diff != "" {
		t.Error(diff)
	}
	delete(hap, "show servers state")
	if got := Balancer(t.Context(), haproxyapi.New(hap)); got.Seen || got.Error == "" {
		t.Errorf("without an answer: %+v", got)
	}
}

// A load balancer has the address that moves alone, or, where it is its own still, with a network around it.
func TestAddressOfALoadBalancer(t *testing.T) {
	const own = "2: eth0    inet 10.10.10.3/24 brd 10.10.10.255 scope global eth0\\       valid_lft forever preferred_lft forever\n"
	const alone = "2: eth0    inet 10.10.10.3/32 scope global eth0\\       valid_lft forever preferred_lft forever\n"
	for name, test := range map[string]struct {
		printed string
		want    observed.Address
	}{
		"without":                {"told 0\n", observed.Address{}},
		"nobody has told it":     {"told \n" + alone, observed.Address{Held: true, Moved: true}},
		"alone":                  {"told 0\n" + alone, observed.Address{Held: true, Moved: true}},
		"its own":                {"told \n" + own, observed.Address{Held: true, Own: true}},
		"both":                   {"told 0\n" + own + alone, observed.Address{Held: true, Moved: true, Own: true}},
		"connections end":        {"told 1\n1: lo    inet 10.10.10.3/32 scope global lo\\       valid_lft forever preferred_lft forever\n", observed.Address{StandsBy: true}},
		"waits for the others":   {"told 0 new\n", observed.Address{New: true}},
		"never began":            {"told  new\n", observed.Address{New: true}},
		"stands by":              {"told 1\n", observed.Address{StandsBy: true}},
		"another of the network": {"told 0\n2: eth0    inet 10.10.10.30/32 scope global eth0\n", observed.Address{}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machinetest.Recorder{NodeName: "lb-1", Answer: func([]string) (string, error) { return test.printed, nil }}
			got, err := Address(t.Context(), m, netip.MustParseAddr("10.10.10.3"))
			if err != nil || got != test.want {
				t.Errorf("%+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}
