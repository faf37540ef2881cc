package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
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

// A pairWorld is two load balancers that move an address between them.
type pairWorld struct {
	mu      sync.Mutex
	second  bool // lb-2 has the address; else lb-1 does, as long as it may
	sick    bool // lb-2 cannot take the address
	deaf    bool // lb-2 does not take it
	loses   bool // lb-2 has it for a moment
	fresh   bool // lb-2 waits for other load balancers
	unable  bool // lb-2 cannot hand anything on
	stuck   bool // lb-1 cannot begin to leave
	standBy map[string]bool
	drains  map[string]int // how often they are asked until that is over
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
		case strings.Contains(line, beginDrainScript):
			before := argv[7]
			if before == "take" && w.unable || before == "leave" && w.stuck {
				return "", errors.New("no nft")
			}
			w.drains[node], w.standBy[node] = 2, w.standBy[node] || before == "leave"
			w.did = append(w.did, before+" "+node+": "+strings.Join(argv[9:], " "))
		case strings.HasPrefix(line, "systemctl show"):
			if w.drains[node] == 0 {
				return "inactive\n", nil
			}
			w.drains[node]--
			return "active\n", nil
		case strings.HasPrefix(line, "systemctl stop"):
			w.drains[node] = 0
			w.did = append(w.did, "stop "+argv[2]+" "+node)
		case strings.Contains(line, "> "+topology.StandBy):
			w.standBy[node] = strings.Contains(line, "echo 1")
			w.did = append(w.did, fmt.Sprintf("stand by %s %v", node, w.standBy[node]))
		case strings.Contains(line, "ip -oneline"):
			held := map[string]bool{"lb-1": !w.second && !w.standBy["lb-1"], "lb-2": w.second || w.standBy["lb-1"] && !w.deaf && (!w.loses || w.drains["lb-1"] == 2)}
			out := map[bool]string{true: "told 1\n", false: "told 0\n"}[w.standBy[node]]
			if w.fresh && node == "lb-2" {
				out = "told 0 new\n"
			}
			if node == "lb-1" && w.drains[node] > 0 {
				out += "1: lo    inet 10.10.10.3/32 scope global lo\n"
			}
			if held[node] {
				out += "2: eth0    inet 10.10.10.3/32 scope global eth0\n"
			}
			return out, nil
		}
		return "", nil
	}
}

func (w *pairWorld) runner(t *testing.T) *Runner {
	t.Helper()
	c, err := spec.Parse("f.yaml", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nspec:\n  nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(c)
	r := &Runner{Nodes: map[string]topology.Node{}, Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler), Detail: func(string, string) {},
		Cluster: &access.Cluster{Topology: topo, Machine: func(node string) machine.Machine {
			return &machinetest.Recorder{NodeName: node, Answer: w.answer(node)}
		}}}
	for _, n := range topo.Nodes {
		r.Nodes[n.Name] = n
	}
	return r
}

// A load balancer that is new waits for all that it was told of: a step that starts or tells it does not, for these may be told after it. It is
// waited for before others count on it.
func TestNewLoadBalancerIsWaitedForWhenItIsCountedOn(t *testing.T) {
	for name, test := range map[string]struct {
		world           *pairWorld
		told, activated string
	}{
		"it could have the address": {&pairWorld{}, "", ""},
		"it waits for others":       {&pairWorld{fresh: true, sick: true}, "", "lb-2 could not have the address"},
		"its HAProxy is not well":   {&pairWorld{sick: true}, "lb-2 could not have the address", "lb-2 could not have the address"},
	} {
		t.Run(name, func(t *testing.T) {
			r, journal := test.world.runner(t), &world{}
			r.Journal = journal
			lb := r.Nodes["lb-2"]
			if err := r.sharesAddress(t.Context(), lb); (err != nil) != (test.told != "") || err != nil && !strings.Contains(err.Error(), test.told) {
				t.Errorf("told: %v, want %q", err, test.told)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			err := activate(ctx, r, change.Step{Verb: change.Activate, Node: "lb-2"})
			if (err != nil) != (test.activated != "") || err != nil && !strings.Contains(err.Error(), test.activated) {
				t.Errorf("activated: %v, want %q", err, test.activated)
			}
			if noted := len(journal.record) > 0; noted != (err == nil) {
				t.Errorf("%v, and the record has %+v", err, journal.record)
			}
		})
	}
}

func TestAddressMoves(t *testing.T) {
	const (
		take  = "take lb-2: sleep 55"
		leave = "leave lb-1: /bin/sh /run/haplane/drain wait"
		back  = "stand by lb-1 false"
		stop  = "stop haplane-drain lb-2"
	)
	for name, test := range map[string]struct {
		world  *pairWorld
		want   []string
		fails  string
		detail string
	}{
		"to one that is well":              {&pairWorld{}, []string{take, leave, stop}, "", ""},
		"nobody could take it":             {&pairWorld{sick: true}, nil, "no other load balancer is well enough to have 10.10.10.3", ""},
		"nobody takes it in time":          {&pairWorld{deaf: true}, []string{take, leave, back, stop}, "no other load balancer takes 10.10.10.3, so lb-1 keeps it", ""},
		"nothing can be handed on":         {&pairWorld{unable: true}, []string{leave}, "", "what is open is reset at once, for it cannot be handed on: lb-2: no nft"},
		"it is lost meanwhile":             {&pairWorld{loses: true}, []string{take, leave, back, stop}, "no other load balancer takes 10.10.10.3, so lb-1 keeps it", ""},
		"it cannot begin to leave":         {&pairWorld{stuck: true}, []string{take, back, stop}, "no nft", ""},
		"another one has it":               {&pairWorld{second: true}, []string{"stand by lb-1 true"}, "", ""},
		"a run was cut off after it moved": {&pairWorld{standBy: map[string]bool{"lb-1": true}, drains: map[string]int{"lb-1": 1, "lb-2": 2}}, []string{stop}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world
			if w.standBy == nil {
				w.standBy, w.drains = map[string]bool{}, map[string]int{}
			}
			var details []string
			r := w.runner(t)
			r.Notice = func(_, text string) { details = append(details, text) }
			step := change.Step{ID: "address-move@lb-1", Verb: change.MoveAddress, Node: "lb-1"}
			limit := 30 * time.Second
			if w.sick || w.deaf || w.loses { // it would be waited for
				limit = 2 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := moveAddress(ctx, r, step)
			if (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%v, want %q", err, test.fails)
			}
			if !slices.Equal(w.did, test.want) {
				t.Errorf("did %q, want %q", w.did, test.want)
			}
			if got := strings.Join(details, "; "); got != test.detail {
				t.Errorf("details %q, want %q", got, test.detail)
			}
			if done, err := addressElsewhere(t.Context(), r, step); err != nil || done != (test.fails == "") {
				t.Errorf("done is %v, %v", done, err)
			}
			if w.drains["lb-1"] = 1; test.fails == "" {
				if done, err := addressElsewhere(t.Context(), r, step); err != nil || done {
					t.Errorf("done is %v, %v, while connections go through lb-1", done, err)
				}
			}
		})
	}
}

// droppedProvider notes how addresses were dropped.
type droppedProvider struct {
	Provider
	moves []bool
}

func (d *droppedProvider) DropAddresses(_ context.Context, _ topology.Node, moves bool) error {
	d.moves = append(d.moves, moves)
	return nil
}

// A load balancer keeps the address that was its own until it is there as one that moves: of IPv6, where it can be there only once, until
// keepalived may have it. Where another one has it, it goes.
func TestOwnAddressIsDropped(t *testing.T) {
	const told = "told 0\n"
	v4, v6 := told+"2: eth0    inet 10.9.0.3/24 scope global eth0\n", told+"2: eth0    inet6 fd00::3/64 scope global nodad\n"
	for name, test := range map[string]struct {
		machines string
		shows    map[string]string // ip, by node
		track    []string          // what keepalived of lb-1 is told, one after the other
		moves    bool
	}{
		"it is there twice":                   {"10.9.0.0/24", map[string]string{"lb-1": v4 + "2: eth0    inet 10.9.0.3/32 scope global eth0\n"}, nil, true},
		"another one has it":                  {"10.9.0.0/24", map[string]string{"lb-1": v4, "lb-2": told + "2: eth0    inet 10.9.0.3/32 scope global eth0\n"}, nil, false},
		"IPv6, and it holds":                  {"fd00::/64", map[string]string{"lb-1": v6}, []string{"50   \n"}, true},
		"IPv6, and it will hold in a moment":  {"fd00::/64", map[string]string{"lb-1": v6}, []string{"-254 \n", "", "0    \n", "100  \n"}, true},
		"IPv6, and a run before has done it":  {"fd00::/64", map[string]string{"lb-1": told + "2: eth0    inet6 fd00::3/128 scope global nodad\n"}, nil, true},
		"IPv6, and another one has it":        {"fd00::/64", map[string]string{"lb-1": v6, "lb-2": told + "2: eth0    inet6 fd00::3/128 scope global nodad\n"}, []string{"50   \n"}, false},
		"both families go by the first, IPv4": {"10.9.0.0/24,fd00::/64", map[string]string{"lb-1": v4 + "2: eth0    inet 10.9.0.3/32 scope global eth0\n"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := spec.Parse("f.yaml", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nspec:\n  network: {machineCIDR: '"+test.machines+"'}\n  nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]\n"))
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			topo, provider := topology.New(c), &droppedProvider{}
			answer := func(node string) func([]string) (string, error) {
				return func(argv []string) (string, error) {
					mu.Lock()
					defer mu.Unlock()
					switch {
					case strings.Contains(strings.Join(argv, " "), "ip -oneline"):
						if text, ok := test.shows[node]; ok {
							return text, nil
						}
						return told, nil
					case slices.Equal(argv, []string{"cat", topology.BalancerTrack}) && node == "lb-1":
						if len(test.track) == 0 {
							return "", errors.New("no such file")
						}
						text := test.track[0]
						test.track = test.track[1:]
						return text, nil
					}
					return "", nil
				}
			}
			r := &Runner{Nodes: map[string]topology.Node{}, Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler), Provider: provider,
				Cluster: &access.Cluster{Topology: topo, Machine: func(node string) machine.Machine {
					return &machinetest.Recorder{NodeName: node, Answer: answer(node)}
				}}}
			for _, n := range topo.Nodes {
				r.Nodes[n.Name] = n
			}
			if err := dropAddress(t.Context(), r, change.Step{ID: "address-drop@lb-1", Verb: change.DropAddress, Node: "lb-1"}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(provider.moves, []bool{test.moves}) {
				t.Errorf("dropped %v, want %v", provider.moves, test.moves)
			}
		})
	}
}

// What haplane asks a load balancer before another one leaves the address to it. systemctl is as in systemctl(1): one unit that is active is enough for it.
func TestMayTakeScript(t *testing.T) {
	const all = "keepalived haplane-balancer haproxy"
	for _, c := range []struct {
		name, well, standBy, active string
		want                        bool
	}{
		{"well, told nothing yet", "0\n", "", all, true},
		{"well, and may have it", "0\n", "0\n", all, true},
		{"HAProxy is not well", "1\n", "0\n", all, false},
		{"the guard has not said anything", "", "0\n", all, false},
		{"it stands by", "0\n", "1\n", all, false},
		{"without keepalived", "0\n", "0\n", "haplane-balancer haproxy", false},
		{"without the guard", "0\n", "0\n", "keepalived haproxy", false},
		{"without HAProxy", "0\n", "0\n", "keepalived haplane-balancer", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{"well": c.well, "stand-by": c.standBy, "systemctl": "#!/bin/sh\nfor unit; do case ' " + c.active + " ' in *\" $unit \"*) exit 0 ;; esac; done\nexit 3\n"}
			for name, text := range files {
				if text == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("sh", "-c", mayTakeScript, "sh", filepath.Join(dir, "well"), filepath.Join(dir, "stand-by"))
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if got := err == nil; got != c.want {
				t.Errorf("%t, want %t: %v: %s", got, c.want, err, out)
			}
		})
	}
}
