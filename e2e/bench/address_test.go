package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig/address"
	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func TestAddressScenes(t *testing.T) {
	for i, want := range [][]string{{"lb-1", "lb-2"}, {"cp-1", "cp-2", "cp-3"}} {
		parsed, err := spec.Parse("address.yaml", []byte(addressScenes[i].file))
		if err != nil {
			t.Fatal(err)
		}
		shape := topology.New(parsed)
		var names []string
		for _, n := range shape.LoadBalancers() {
			names = append(names, n.Name)
			if n.Address == shape.LoadBalancer.Addr() {
				t.Errorf("%s has the address that moves for its own", n.Name)
			}
		}
		if d := cmp.Diff(want, names); d != "" || !shape.Virtual || len(shape.ControlPlane()) != 3 {
			t.Errorf("scene %d: %+v\n%s", i, shape, d)
		}
	}
	if names := setUpNames(); len(slices.Compact(slices.Sorted(slices.Values(names)))) != 3 {
		t.Errorf("set-ups are %q", names)
	}
}

// Resumed, it goes on where it was.
func TestAddressWanting(t *testing.T) {
	name := setUpNames()[0]
	a := &addressing{options: roundOptions{rounds: 2, match: regexp.MustCompile("HAProxy hangs|machine|requests")}}
	for range 2 {
		a.samples = append(a.samples, addressSample{SetUp: name, Fault: "machine frozen"})
	}
	a.samples = append(a.samples, addressSample{SetUp: name, Fault: "HAProxy hangs"}, addressSample{SetUp: "another", Fault: "machine powered off"},
		addressSample{SetUp: name, Fault: "100 requests a second"})
	var got []string
	for _, f := range a.wanting(setUp{name: name}) {
		got = append(got, f.name)
	}
	if d := cmp.Diff([]string{"HAProxy hangs", "machine off the network", "machine powered off"}, got); d != "" {
		t.Error("-want +got\n" + d)
	}
}

func TestAddressFaults(t *testing.T) {
	for _, f := range addressFaults {
		if (f.inject == nil) != (f.planned || f.load) {
			t.Errorf("%s: it has no way to happen, or two", f.name)
		}
	}
}

func TestAddressSample(t *testing.T) {
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	answer := func(m string, ms int) address.Answer {
		return address.Answer{Machine: m, Asked: at(ms), Taken: at(ms + 2)}
	}
	var got addressSample
	got.see(lanes.Measured{Late: 12, Lanes: map[string]lanes.Figures{kubeprobe.LBNew: {Requests: 300, Failed: 7, Gap: 812}}},
		address.Seen{From: start, To: at(1000),
			Answers: []address.Answer{answer("lb-1", 0), answer("lb-2", 5), answer("lb-1", 20), {Machine: "lb-2", Asked: at(30), Err: errors.New("timed out")}},
			Changes: []address.Change{{Machine: "lb-1", At: start, Has: true}, {Machine: "lb-2", At: at(4), Has: true}, {Machine: "lb-1", At: at(104)}}},
		address.Seen{From: at(1000), To: at(3000), Answers: []address.Answer{answer("", 1000), {Asked: at(1020), Err: errors.New("timed out")}, answer("", 1060),
			answer("lb-2", 1100), answer("lb-1", 1105), answer("lb-2", 1120), answer("lb-1", 1125), answer("lb-2", 1140)}})
	want := addressSample{New: lanes.Figures{Requests: 300, Failed: 7, Gap: 812}, Late: 12, Moves: 1, Back: 60, Twice: 22, OnTwo: 100}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got\n" + d)
	}
	data, err := json.Marshal(got)
	var again addressSample
	if err := errors.Join(err, json.Unmarshal(data, &again)); err != nil || !cmp.Equal(got, again) {
		t.Errorf("of %s: %+v, %v", data, again, err)
	}
}

func TestUseBetween(t *testing.T) {
	look := func(cpu time.Duration) []programUse {
		haproxy, voter := programUse{Program: "haproxy"}, programUse{Program: "haplane voter"}
		haproxy.add(address.Usage{CPU: cpu, Memory: 30 << 20}, true)
		haproxy.add(address.Usage{CPU: time.Second, Memory: 20 << 20}, false)
		haproxy.add(address.Usage{CPU: time.Second + cpu/10, Memory: 20 << 20}, false)
		voter.add(address.Usage{}, false)
		return []programUse{haproxy, voter}
	}
	got := useBetween(look(3*time.Second), look(9*time.Second), time.Minute)
	want := []programUse{{Program: "haproxy", Holder: share{30 << 20, 0.1}, Others: share{40 << 20, 0.01}}}
	near := cmp.Comparer(func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 })
	if d := cmp.Diff(want, got, near); d != "" {
		t.Error("-want +got\n" + d)
	}
}

func TestPrintAddress(t *testing.T) {
	names := setUpNames()
	of := func(setUp, fault string, gap float64, failed, moves int, twice float64) addressSample {
		return addressSample{SetUp: setUp, Fault: fault, New: lanes.Figures{Requests: 100, Failed: failed, Gap: gap}, Moves: moves, Twice: twice}
	}
	samples := []addressSample{
		of(names[1], "keepalived killed", 40, 1, 1, 3500), of(names[0], "keepalived killed", 300, 10, 1, 0), of(names[1], "keepalived killed", 60, 0, 0, 3000),
		of(names[0], "keepalived killed", 100, 4, 1, 0), of(names[0], "keepalived killed", 200, 6, 0, 0),
		of(names[0], "planned move", 60, 0, 1, 900),
		of(names[0], "all API servers hang", 40000, 90, 0, 0), of(names[1], "all API servers hang", 40000, 90, 2, 0),
		{SetUp: names[0], Fault: "100 requests a second", Uses: []programUse{{Program: "haproxy", Holder: share{30 << 20, 0.123}, Others: share{20 << 20, 0.001}}}},
	}
	samples[0].Late = 700
	samples[1].Back, samples[3].Back = 120, 250
	want := `| fault | set-up | gap, s: min, median, max | failed, all rounds | the address moved | put right: gap, s, max | two machines answered |
|---|---|---|---|---|---|---|
| keepalived killed | haplane, a pair | 0.10 0.20 0.30 | 20 of 300 | 2 of 3 | 0.25 | never |
| keepalived killed | kubeadm's guide, the same pair | 0.04 0.05 0.06 | 1 of 200 | 1 of 2 | 0.00 | 2 of 2, up to 3.50 s |
| planned move | haplane, a pair | 0.06 0.06 0.06 | 0 of 100 | 1 of 1 | 0.00 | - |
| all API servers hang | haplane, a pair | - | - | 0 of 1 | - | never |
| all API servers hang | kubeadm's guide, the same pair | - | - | **1 of 1** | - | never |

The process that measured was late itself:

- kubeadm's guide, the same pair, keepalived killed, round 0: by up to 700 ms

| set-up | program | memory (PSS) where the address is; elsewhere, all together | CPU, of one: where the address is; elsewhere, all together |
|---|---|---|---|
| haplane, a pair | haproxy | 30 MiB; 20 MiB | 12.3 %; 0.1 % |

100 new connections a second for 60 s.
`
	var w strings.Builder
	if err := printAddress(&w, samples); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, w.String()); d != "" {
		t.Error("-want +got\n" + d)
	}
}

// What the guide says is there, and nothing of haplane's that would move the address beside it, and comes back.
func TestGuideScript(t *testing.T) {
	parsed, err := spec.Parse("address.yaml", []byte(addressScenes[0].file))
	if err != nil {
		t.Fatal(err)
	}
	at := topology.New(parsed).LoadBalancer
	for first, own := range map[bool]string{true: "    state MASTER\n    interface eth0\n    virtual_router_id 51\n    priority 101\n", false: "    state BACKUP\n    interface eth0\n    virtual_router_id 51\n    priority 100\n"} {
		got, err := guideScript(at, first, []byte("frontend apiserver\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{own, "    interval 3\n    weight -2\n    fall 10\n    rise 2\n", "        auth_type PASS\n        auth_pass 42\n", "        " + at.Addr().String() + "\n",
			"--max-time 2 --output /dev/null https://localhost:6443/healthz", "frontend apiserver\nEND-OF-FILE\n", "chmod 755 /etc/keepalived/check_apiserver.sh\n"} {
			if !strings.Contains(got, part) {
				t.Errorf("no %q in:\n%s", part, got)
			}
		}
		for _, file := range aside {
			if put, back := "mv "+file+" "+file+".haplane\n", "mv "+file+".haplane "+file+"\n"; strings.Count(got, put) != 1 || strings.Count(guideEnd(), back) != 1 {
				t.Errorf("%s is not put aside and back", file)
			}
		}
	}
}
