package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A pairWorld is two load balancers of which lb-1 has the address that moves.
type pairWorld struct {
	mu      sync.Mutex
	sick    bool // lb-2 cannot take the address
	deaf    bool // lb-2 does not take it
	standBy map[string]bool
	did     []string
}

func (w *pairWorld) answer(node string) func([]string) (string, error) {
	return func(argv []string) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		line := strings.Join(argv, " ")
		switch {
		case strings.Contains(line, mayTakeScript):
			if w.sick || node == "lb-1" {
				return "", errors.New("exit status 1")
			}
		case strings.Contains(line, leaveScript):
			w.standBy[node] = true
			w.did = append(w.did, "leave "+node+" "+strings.Join(argv[4:], " "))
		case strings.Contains(line, "> "+topology.StandBy):
			w.standBy[node] = strings.Contains(line, "echo 1")
			w.did = append(w.did, fmt.Sprintf("stand by %s %v", node, w.standBy[node]))
		case strings.Contains(line, "ip -oneline"):
			held := node == "lb-1" && !w.standBy["lb-1"] || node == "lb-2" && w.standBy["lb-1"] && !w.deaf
			out := map[bool]string{true: "told 1\n", false: "told 0\n"}[w.standBy[node]]
			if held {
				out += "2: eth0    inet 10.10.10.3/32 scope global eth0\n"
			}
			return out, nil
		}
		return "", nil
	}
}

func TestAddressMoves(t *testing.T) {
	const left = "leave lb-1 /run/haplane/stand-by ( sport = :6443 ) 10.10.10.3"
	for name, test := range map[string]struct {
		world *pairWorld
		want  []string
		fails string
	}{
		"to one that is well":     {&pairWorld{}, []string{left}, ""},
		"nobody could take it":    {&pairWorld{sick: true}, nil, "no other load balancer is well enough to have 10.10.10.3"},
		"nobody takes it in time": {&pairWorld{deaf: true}, []string{left, "stand by lb-1 false"}, "no other load balancer takes 10.10.10.3, so lb-1 keeps it"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := spec.Parse("f.yaml", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nspec:\n  nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]\n"))
			if err != nil {
				t.Fatal(err)
			}
			topo, w := topology.New(c), test.world
			w.standBy = map[string]bool{}
			r := &Runner{Nodes: map[string]topology.Node{}, Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler), Cluster: &access.Cluster{Topology: topo,
				Machine: func(node string) machine.Machine {
					return &machinetest.Recorder{NodeName: node, Answer: w.answer(node)}
				}}}
			for _, n := range topo.Nodes {
				r.Nodes[n.Name] = n
			}
			step := change.Step{ID: "address-move@lb-1", Verb: change.MoveAddress, Node: "lb-1"}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err = moveAddress(ctx, r, step)
			if (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%v, want %q", err, test.fails)
			}
			if !slices.Equal(w.did, test.want) {
				t.Errorf("did %q, want %q", w.did, test.want)
			}
			if done, err := addressElsewhere(t.Context(), r, step); err != nil || done != (test.fails == "") {
				t.Errorf("done is %v, %v", done, err)
			}
		})
	}
}
