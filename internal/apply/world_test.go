package apply

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A world is a cluster in memory: recorded machines, and on loopback addresses of their
// own what answers there for etcd and API servers, as long as the unit runs.
type world struct {
	t    *testing.T
	keys pki.Bundle
	all  []topology.Node // all that ever are

	mu      sync.Mutex
	hosts   map[string]*systemdtest.Host // of machines that were made; they run
	etcd    etcdWorld
	api     apiWorld
	drained map[string]bool // by the load balancer: BACKEND/SERVER
	data    map[string]bool // nodes with data of etcd's
	loaded  []string        // servers that it has
	outside []string        // servers of one that is somebody else's, in its place
	turn    int             // of it
	record  []change.Node
	notes   []string // of the journal
	doing   func(id string)

	task     *change.Task // of its runners
	snapshot string
}

var roles = map[string]struct {
	role  spec.Role
	first int
	units []string
}{
	"cp":     {spec.RoleControlPlane, 11, []string{"etcd", "kube-apiserver", "kube-scheduler"}},
	"worker": {spec.RoleWorker, 61, []string{"kubelet"}},
	"etcd":   {spec.RoleEtcd, 31, []string{"etcd"}},
	"lb":     {spec.RoleLoadBalancer, 3, []string{"haproxy"}},
}

func nodeOf(name string) topology.Node {
	prefix, number, _ := strings.Cut(name, "-")
	var n int
	fmt.Sscan(number, &n)
	pid := os.Getpid() // another run of these tests has other addresses
	return topology.NewNode(name, roles[prefix].role, fmt.Sprintf("127.%d.%d.%d", 64+pid/256%128, pid%256, roles[prefix].first+n-1))
}

// of is the topology of nodes written as their names. Control-plane nodes have no kubelet.
func of(names ...string) *topology.Topology {
	lb := nodeOf("lb-1")
	t := &topology.Topology{Name: "demo", Identity: spec.Shared, LoadBalancer: netip.AddrPortFrom(lb.Address, topology.APIServerPort),
		LBAddresses: lb.Addresses, Services: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}, DNSDomain: "cluster.local", Reconciler: spec.ReconcilerLease}
	for _, name := range names {
		t.Nodes = append(t.Nodes, nodeOf(name))
	}
	return t
}

// desired are the machines with one file each, that of the load balancer with its servers.
func desired(t *topology.Topology, backends []string) map[string]render.Machine {
	out := map[string]render.Machine{}
	for _, n := range t.Nodes {
		text := "of " + n.Name
		if n.Role == spec.RoleLoadBalancer {
			text = strings.Join(backends, " ")
		}
		config := fileset.File{Path: configPath, Mode: 0o644, Data: []byte(text)}
		m := render.Machine{Files: fileset.New(config)}
		prefix, _, _ := strings.Cut(n.Name, "-")
		for _, u := range roles[prefix].units {
			if u == "etcd" && prefix == "cp" && t.ExternalEtcd() {
				continue
			}
			unit := render.Unit{Name: u, Config: "new"}
			if u == "etcd" {
				m.Files.Add(fileset.File{Path: topology.UnitDir + "/etcd.service", Mode: 0o644, Data: []byte("etcd")})
			}
			if u == "haproxy" {
				unit.Load = config.Sum()
			}
			m.Units = append(m.Units, unit)
		}
		m.Files.AddManifest(render.ManifestPath)
		out[n.Name] = m
	}
	return out
}

const configPath = "/etc/config"

func backends(t *topology.Topology) []string {
	var out []string
	for _, n := range t.ControlPlane() {
		out = append(out, n.Name)
	}
	return out
}

// newWorld is a healthy cluster of a topology, in which those of others may come to be.
func newWorld(t *testing.T, now *topology.Topology, others ...string) *world {
	t.Helper()
	w := &world{t: t, all: slices.Clone(now.Nodes), hosts: map[string]*systemdtest.Host{}, drained: map[string]bool{}, data: map[string]bool{}}
	for _, name := range others {
		w.all = append(w.all, nodeOf(name))
	}
	whole := *now
	whole.Nodes = w.all
	rows := pki.Catalogue(&whole)
	whole.Nodes = slices.DeleteFunc(slices.Clone(w.all), func(n topology.Node) bool { return n.Role == spec.RoleEtcd })
	for _, row := range pki.Catalogue(&whole) { // etcd may have members on either kind of node
		if !slices.ContainsFunc(rows, func(r pki.Row) bool { return r.Name == row.Name }) {
			rows = append(rows, row)
		}
	}
	plan, _ := pki.Plan(rows, pki.Bundle{}, time.Now(), false)
	var err error
	if w.keys, err = pki.Issue(rows, pki.Bundle{}, plan, time.Now(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	want := desired(now, backends(now))
	for _, n := range now.EtcdMembers() {
		w.data[n.Name] = true
	}
	for _, n := range now.Nodes {
		w.make(n.Name)
		if err := w.hosts[n.Name].Upload(t.Context(), want[n.Name].Files); err != nil {
			t.Fatal(err)
		}
		for _, u := range want[n.Name].Units {
			w.hosts[n.Name].Running[u.Name] = systemd.State{Active: true, Config: u.Config, Loaded: u.Load}
		}
		w.record = append(w.record, change.Node{Node: n, State: change.Active})
	}
	w.loaded = backends(now)
	w.etcd.begin(w, now.EtcdMembers())
	w.api.begin(w, now)
	return w
}

func (w *world) make(name string) {
	h := systemdtest.New(name)
	h.Next.Config = "new"
	answer := h.Answer
	h.Answer = func(argv []string) (string, error) {
		switch {
		case argv[0] == "sh" && len(argv) == 5 && argv[4] == render.ManifestPath:
			return string(h.Files()[render.ManifestPath].Data), nil
		case argv[0] == "sh" && len(argv) == 5 && argv[4] == topology.EtcdDataDir && w.data[name]:
			return "member\n", nil
		case argv[0] == "find" && argv[1] == topology.EtcdDataDir:
			delete(w.data, name)
		}
		return answer(argv)
	}
	w.hosts[name] = h
}

// runs reports whether a unit of a node does. The lock is held.
func (w *world) runs(node, unit string) bool {
	h := w.hosts[node]
	return h != nil && h.Running[unit].Active
}

// A reach is the way to a machine, whichever has that name by now.
type reach struct {
	world *world
	name  string
}

func (r reach) Name() string { return r.name }

func (r reach) host(ctx context.Context) (*systemdtest.Host, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if h := r.world.hosts[r.name]; h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("connect to %s: no route to host", r.name)
}

func (r reach) Run(ctx context.Context, cmd machine.Command) (machine.Result, error) {
	if len(cmd.Argv) > 2 && cmd.Argv[2] == holdScript {
		return machine.Result{}, r.hold(ctx, cmd)
	}
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	h, err := r.host(ctx)
	if err != nil {
		return machine.Result{}, err
	}
	if cmd.Argv[0] == "socat" {
		return r.world.haproxy(cmd)
	}
	r.world.exchange(r.name, cmd.Argv)
	if config, ok := h.Files()[configPath]; ok {
		h.Next.Loaded = config.Sum()
	}
	result, err := h.Run(ctx, cmd)
	verb := cmd.Argv[min(3, len(cmd.Argv)-1)]
	if verb == "start" { // then a kubelet registers
		delete(r.world.api.deleted, r.name)
	}
	if r.name == "lb-1" && (verb == "reload" || verb == "start") {
		r.world.loaded, r.world.drained = strings.Fields(string(h.Files()[configPath].Data)), map[string]bool{}
	}
	return result, err
}

// hold keeps an API server from writing until the input ends.
func (r reach) hold(ctx context.Context, cmd machine.Command) error {
	r.world.mu.Lock()
	_, err := r.host(ctx)
	if err == nil {
		r.world.etcd.held[r.name] = true
	}
	r.world.mu.Unlock()
	if err != nil {
		return err
	}
	_, _ = io.WriteString(cmd.Stdout, "held\n")
	_, err = io.Copy(io.Discard, cmd.Stdin)
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	delete(r.world.etcd.held, r.name)
	return err
}

func (r reach) Upload(ctx context.Context, files fileset.Set) error {
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	h, err := r.host(ctx)
	if err != nil {
		return err
	}
	return h.Upload(ctx, files)
}

func (r reach) Stat(ctx context.Context, paths []string) (map[string]fileset.State, error) {
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	h, err := r.host(ctx)
	if err != nil {
		return nil, err
	}
	return h.Stat(ctx, paths)
}

// haproxy answers the runtime API of the load balancer.
func (w *world) haproxy(cmd machine.Command) (machine.Result, error) {
	var in strings.Builder
	if _, err := fmt.Fprint(&in, readAll(cmd)); err != nil {
		return machine.Result{}, err
	}
	fields := strings.Fields(in.String())
	var out string
	switch {
	case slices.Equal(fields, []string{"show", "stat"}):
		out = "# pxname,svname,status\n"
		for _, s := range w.loaded {
			status := "DOWN"
			if w.runs(s, "kube-apiserver") {
				status = map[bool]string{false: "UP", true: "DRAIN"}[w.drained[topology.HAProxyBackend+"/"+s]]
			}
			out += fmt.Sprintf("%s,%s,%s\n", topology.HAProxyBackend, s, status)
		}
	case fields[0] == "show":
		out = "1\n# be_name srv_name srv_addr srv_port srv_op_state srv_admin_state\n"
		for _, s := range w.loaded {
			for _, backend := range []string{topology.HAProxyBackend, topology.HAProxyLastResort} {
				out += fmt.Sprintf("%s %s %s 6443 2 %d\n", backend, s, nodeOf(s).Address, map[bool]int{true: 8}[w.drained[backend+"/"+s]])
			}
		}
	default: // set server BACKEND/SERVER state STATE
		if !slices.Contains(w.loaded, path.Base(fields[2])) {
			return machine.Result{Stdout: "No such server.\n"}, nil
		}
		w.drained[fields[2]] = fields[4] == "drain"
	}
	return machine.Result{Stdout: out}, nil
}

// Status, Create, Start, Ready and Remove make it a Provider.
func (w *world) Status(n topology.Node) (made, running bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[n.Name] != nil, w.hosts[n.Name] != nil, nil
}

func (w *world) Create(ctx context.Context, n topology.Node) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hosts[n.Name] == nil {
		w.make(n.Name)
	}
	return ctx.Err()
}

func (w *world) Start(context.Context, topology.Node) error {
	return errors.New("no machine is off here")
}

func (w *world) Ready(_ context.Context, n topology.Node) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hosts[n.Name] == nil {
		return errors.New("no sshd")
	}
	return nil
}

func (w *world) Remove(ctx context.Context, n topology.Node) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() == nil {
		delete(w.hosts, n.Name)
		delete(w.data, n.Name)
	}
	return ctx.Err()
}

func (w *world) Readdress(context.Context, topology.Node) error {
	return errors.New("no machine gets another address here")
}

func (w *world) DropAddresses(context.Context, topology.Node, bool) error { return nil }

// Note, SetNode, SetAddress, Forget and Issue make it a Journal.
func (w *world) Note(s change.Step, state string) error {
	w.mu.Lock()
	w.notes = append(w.notes, state+" "+s.ID)
	doing := w.doing
	w.mu.Unlock()
	if state == "doing" && doing != nil {
		doing(s.ID)
	}
	return nil
}

func (w *world) SetNode(n topology.Node, state change.State, rejoin bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.record, func(o change.Node) bool { return o.Name == n.Name })
	if i < 0 {
		i = len(w.record)
		w.record = append(w.record, change.Node{Node: n})
	}
	w.record[i].State, w.record[i].Rejoin = state, rejoin
	return nil
}

func (w *world) Forget(n topology.Node) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.record = slices.DeleteFunc(w.record, func(o change.Node) bool { return o.Name == n.Name })
	return nil
}

func (w *world) SetAddress(topology.Node) error { return nil }

func (w *world) Issue() error { return nil }

// noted lists what the journal was told in a state.
func (w *world) noted(state string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, n := range w.notes {
		if id, ok := strings.CutPrefix(n, state+" "); ok {
			out = append(out, id)
		}
	}
	return out
}

// nodes are those wanted, and those of the record that leave.
func (w *world) nodes(wanted *topology.Topology) []topology.Node {
	out := slices.Clone(wanted.Nodes)
	for _, n := range w.record {
		if _, ok := wanted.Node(n.Name); !ok {
			out = append(out, n.Node)
		}
	}
	return out
}

func (w *world) members(wanted *topology.Topology) []topology.Node {
	return slices.DeleteFunc(w.nodes(wanted), func(n topology.Node) bool { return n.Role != spec.RoleControlPlane && n.Role != spec.RoleEtcd })
}

func (w *world) access(wanted *topology.Topology) *access.Cluster {
	return &access.Cluster{Topology: wanted, Keys: w.keys, Machine: func(name string) machine.Machine { return reach{w, name} }}
}

func (w *world) runner(wanted *topology.Topology) *Runner {
	r := &Runner{Cluster: w.access(wanted), Nodes: map[string]topology.Node{}, Desired: desired(wanted, backends(wanted)), Programs: map[string][]string{},
		Render: func(s change.Step) map[string]render.Machine { return desired(wanted, s.Backends) }, Members: w.members(wanted), Provider: w, Journal: w,
		Join: func(members string) fileset.Set {
			return fileset.New(fileset.File{Path: render.EtcdJoinPath, Mode: 0o644, Data: []byte(members)})
		},
		Task: w.task, Snapshot: w.snapshot, DrainTimeout: time.Second, Report: func(phase.Event) {}, Waiting: func(string, string) {}, Detail: func(string, string) {}, Notice: func(string, string) {}, Log: slog.New(slog.DiscardHandler)}
	for _, n := range w.nodes(wanted) {
		r.Nodes[n.Name] = n
		prefix, _, _ := strings.Cut(n.Name, "-")
		r.Programs[n.Name] = roles[prefix].units
	}
	return r
}

// plan looks at the world and plans what leads to what is wanted.
func (w *world) plan(wanted *topology.Topology, replace ...string) *change.Change {
	w.t.Helper()
	in := w.input(wanted)
	in.Replace = replace
	c, err := change.Plan(in)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) input(wanted *topology.Topology) change.Input {
	w.t.Helper()
	looker := look.Looker{Cluster: w.access(wanted), Nodes: w.nodes(wanted), Members: w.members(wanted), Wanted: map[string]look.Want{},
		Power: func() (map[string]bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			made := map[string]bool{}
			for name := range w.hosts {
				made[name] = true
			}
			return made, nil
		}}
	want := desired(wanted, backends(wanted))
	for name, m := range want {
		want := WantOf(m)
		want.EtcdData = wanted.ExternalEtcd()
		looker.Wanted[name] = want
	}
	seen, err := looker.State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return change.Input{Wanted: wanted, Record: slices.Clone(w.record), Desired: want, Observed: seen, Moving: wanted.ExternalEtcd()}
}

// begin writes down which nodes leave, as whoever applies a change does first.
func (w *world) begin(wanted *topology.Topology, replace ...string) {
	for i := range w.record {
		n := &w.record[i]
		switch _, ok := wanted.Node(n.Name); {
		case slices.Contains(replace, n.Name):
			n.State, n.Rejoin = change.Leaving, true
		case !ok:
			n.State = change.Leaving
		}
	}
}
