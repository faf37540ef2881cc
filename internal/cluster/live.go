package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Request is what is wanted of a cluster that exists.
type Request struct {
	Command string        // as the user gave it, for the record
	Wanted  *spec.Cluster // with the names and addresses that the nodes have
	Text    []byte        // the cluster file as the user wrote it; nil: as it was
	Replace []string      // nodes to be made anew under their names
	// Renew are certificates to be made anew, by name with the serial that each has; nodes take turns then.
	Renew map[string]string
	// Serial is that of the record that Wanted was made of: one of before another change would undo it. 0 is any.
	Serial uint64
	// Rotate is the authority or key of which the next phase of a rotation is carried out.
	Rotate string
	// NoWaitForPods drops the old authority although programs in pods may not have read the next one.
	NoWaitForPods bool
	// IgnoreOutside drops the old authority, or key, although clients from outside may need it; where the old one cannot vouch for the next one,
	// the switch begins all the same.
	IgnoreOutside bool
	Abort         bool // back to what the cluster was: nodes that leave stay, as they are
	// DrainTimeout bounds the wait for the pods of a node that leaves; 0 is five minutes.
	DrainTimeout time.Duration
	// Confirm is shown the plan before anything is done; nil is yes.
	Confirm func(*Plan) (bool, error)
	// ConfirmTurn is asked between two turns of an upgrade that asks before each; an error ends it there.
	ConfirmTurn func(after string) error
	// Force lets pods of a node that leaves go although nothing makes them anew.
	Force bool
	// Judge x-rays the cluster and returns what fails, in words; nil does not.
	Judge func(context.Context) ([]string, error)
	// MoveKubeconfig has the user's kubeconfig lead to where the load balancer is now, where it led to one of the
	// URLs before; nil leaves it.
	MoveKubeconfig func(ctx context.Context, before []string) error
	// Measure sends requests of all kinds while the cluster changes.
	Measure bool
	// ProbeRate is how many of them a second in each lane; 0 is the constant of that name.
	ProbeRate float64
	// TakeOver takes the lock on the machines from another haplane that holds it.
	TakeOver bool
	// Task is what is done to etcd; nil where nothing is but what a change that was cut off had to do.
	Task *change.Task
	// Upgrade leads to other versions; nil keeps those that the cluster has.
	Upgrade *Upgrade
	// About is the kind of change that the command makes; "" goes on with one of whatever kind that was cut off.
	About string
}

// A live is a cluster that exists or is being brought up, with what is wanted of it and
// what was seen.
type live struct {
	*env
	Request
	transition
	record   *store.Record
	nodes    []change.Node // of the record
	leaving  []topology.Node
	issues   []pki.Reissue
	objects  []kubeapi.Applied
	seen     observed.State
	foreign  map[string][]stranger // by node, where certificates of ours belong
	change   *change.Change
	measured *measurement
	held     func(context.Context) error // whether the lock on the machines is still ours
	touched  atomic.Bool                 // whether a step was begun
	settled  bool                        // the cluster is what was wanted
	rotating

	lastRevision  int64      // of etcd before a restore; 0 where nobody told
	times         sync.Mutex // for these
	halted, wrote time.Time  // when a restore stopped the API, and when a write was acknowledged again
}

// isLive reports whether the cluster was brought up once, to its end.
func isLive(s store.Store) (bool, error) {
	r, err := s.Record()
	if errors.Is(err, store.ErrNoCluster) {
		return false, nil
	}
	return err == nil && r.Applied != nil, err
}

// newLive prepares a change without touching anything: what is wanted, rendered with
// the keys that it will have.
func newLive(q Request, o Options) (*live, error) {
	record, err := o.Store.Record()
	if err != nil {
		return nil, err
	}
	if record.Applied == nil {
		return nil, withHint(fmt.Errorf("cluster %s cannot be changed yet: %w", o.Store.Name(), errUnfinished), "haplane up --cluster "+o.Store.Name()+" finishes it")
	}
	if q.Serial > 0 && q.Serial != record.Serial {
		return nil, withHint(fmt.Errorf("cluster %s was changed by another haplane just now", o.Store.Name()), "run it again: it begins with what the cluster is now")
	}
	if err := q.mayGoOn(record); err != nil {
		return nil, err
	}
	q.goOnUpgrading(record)
	if err := checkRequest(record, q); err != nil {
		return nil, err
	}
	if c := record.Change; c != nil && q.Text == nil && !q.Abort {
		q.Text = c.TextAfter // of the change that was cut off
	}
	l := &live{env: newEnv(q.Wanted, o), Request: q, record: record}
	if err := l.takeTask(); err != nil {
		return nil, err
	}
	l.Measure = l.Measure && !l.restores() // everybody knows that it is away
	l.renew = l.renewed()
	if err := l.rotate(); err != nil {
		return nil, err
	}
	l.takeKey()
	if err := l.takeVersions(); err != nil {
		return nil, err
	}
	l.takeTurns()
	l.sortNodes()
	if err := l.beginTransition(); err != nil {
		return nil, err
	}
	if err := l.planKeys(); err != nil {
		return nil, err
	}
	if err := l.narrow(); err != nil {
		return nil, err
	}
	if err := errors.Join(l.addAgent(), l.addSnapshots()); err != nil {
		return nil, err
	}
	l.rendered = l.of(l.both)
	return l, l.connect()
}

func checkRequest(r *store.Record, q Request) error {
	var errs []error
	errs = append(errs, spec.CheckLive(q.upgraded(r.Applied), q.Wanted))
	errs = append(errs, q.oneAfterTheOther(r))
	for _, name := range q.Replace {
		if !slices.ContainsFunc(r.Nodes, func(n store.Node) bool { return n.Name == name }) {
			errs = append(errs, fmt.Errorf("cluster %s has no node %q", q.Wanted.Metadata.Name, name))
		}
	}
	errs = append(errs, q.oneBalancerAtATime(r))
	return errors.Join(errs...)
}

// oneBalancerAtATime is an error of control-plane nodes that share an address and are all to be made anew: another one has it meanwhile. With machines
// of their own that is so for those that are alive: the plan tells.
func (q Request) oneBalancerAtATime(r *store.Record) error {
	var anew []string
	left, t := 0, topology.New(q.Wanted)
	for _, n := range r.Nodes {
		switch {
		case !t.Balances(topology.Node{Role: n.Role}):
		case slices.Contains(q.Replace, n.Name) || n.Rejoin:
			anew = append(anew, n.Name)
		default:
			left++
		}
	}
	if len(anew) < 2 || left > 0 || t.LBKind != spec.OnControlPlane || q.Upgrade != nil {
		return nil
	}
	return fmt.Errorf("replace %s: nobody would have %s meanwhile; replace one load balancer after the other", strings.Join(anew, ", "), q.Wanted.Spec.LoadBalancer.Address)
}

// oneAfterTheOther is an error of changes that do not go together.
func (q Request) oneAfterTheOther(r *store.Record) error {
	if q.Abort {
		return nil
	}
	was, wanted := topology.New(r.Applied), topology.New(q.Wanted)
	if was.ExternalEtcd() != wanted.ExternalEtcd() && was.KubeletOnCP != wanted.KubeletOnCP {
		return errors.New("spec.nodes, spec.controlPlane.kubelet: etcd moves between machines, or kubelets come or go: one after the other")
	}
	if r.Change == nil || r.Change.Upgrade == nil {
		return nil
	}
	for _, n := range wanted.Nodes {
		if !slices.ContainsFunc(r.Nodes, func(o store.Node) bool { return o.Name == n.Name }) {
			return withHint(fmt.Errorf("%s cannot join while an upgrade is under way: no kubelet may be newer than the API servers that it asks", n.Name),
				"haplane upgrade --resume --cluster "+wanted.Name+" first")
		}
	}
	return nil
}

// sortNodes reads the record's nodes, and which of them are not wanted any more.
func (l *live) sortNodes() {
	for _, n := range l.record.Nodes {
		node := topology.NewNode(n.Name, n.Role, n.Address)
		l.nodes = append(l.nodes, change.Node{Node: node, State: change.State(n.State), Rejoin: n.Rejoin && !l.Abort && l.Upgrade == nil})
		if _, wanted := l.topology.Node(n.Name); !wanted {
			l.leaving = append(l.leaving, node)
		}
	}
}

// union is the wanted topology with the nodes that leave behind it.
func (l *live) union() *topology.Topology {
	t := *l.topology
	t.Nodes = slices.Concat(l.topology.Nodes, l.leaving)
	return &t
}

// planKeys makes, in memory, the certificates that are missing or end soon.
func (l *live) planKeys() error {
	var err error
	l.issues, err = l.completeKeys(time.Now())
	for i := range l.issues {
		l.issues[i].NewSerial = l.serial(l.issues[i].Name)
	}
	return errors.Join(err, l.retire())
}

// of makes the files of every machine of a topology, haplane's own program among them
// where it runs.
func (l *live) of(t *topology.Topology) map[string]render.Machine {
	return l.renderWith(t, l.keys, nil)
}

// renderWith is of with other keys, and with nodes that ask the API server of their own.
func (l *live) renderWith(t *topology.Topology, keys pki.Bundle, beside map[string]bool) map[string]render.Machine {
	in := l.input()
	in.Topology, in.Keys, in.Beside, in.Snapshots = t, keys, beside, l.snapshots
	for _, n := range t.Nodes {
		in.Platforms[n.Name] = platform()
	}
	out := render.Render(in)
	for _, n := range t.Nodes {
		if !t.RunsAgent(n) {
			continue
		}
		for _, f := range l.agent {
			out[n.Name].Files.Add(f)
		}
	}
	return out
}

// withBackends renders the load balancers for some of the API servers.
func (l *live) withBackends(s change.Step) map[string]render.Machine {
	t := l.union()
	if l.both != nil {
		t.LBPorts = l.both.LBPorts
	}
	return l.balancersOf(t, s)
}

// withLastBackends does so with what they have in the end.
func (l *live) withLastBackends(s change.Step) map[string]render.Machine {
	return l.balancersOf(l.union(), s)
}

func (l *live) balancersOf(t *topology.Topology, s change.Step) map[string]render.Machine {
	var nodes []topology.Node
	for _, n := range t.Nodes {
		gone := n.Role == spec.RoleLoadBalancer && t.Virtual && !slices.Contains(s.Balancers, n.Name)
		if n.Role != spec.RoleControlPlane && !gone {
			nodes = append(nodes, n)
		}
	}
	backends := s.Backends
	if n, _ := t.Node(s.Node); t.Balances(n) && n.Role == spec.RoleControlPlane && !slices.Contains(backends, n.Name) {
		backends = append(slices.Clone(backends), n.Name) // it joins, and has files before the others know of it
	}
	for _, name := range backends {
		if n, ok := t.Node(name); ok {
			nodes = append(nodes, n)
		}
	}
	t.Nodes = nodes
	return l.of(t)
}

// fresh reports whether the cluster was never brought up to its end.
func (l *live) fresh() bool { return l.record.Applied == nil }

// wantedOf is what to look at on machines: all of those that stay, and of a node that leaves whether it has a load balancer that runs, which
// may have the address to give away, or lead a worker that had it until now.
func wantedOf(all *topology.Topology, stays map[string]render.Machine) map[string]look.Want {
	out := map[string]look.Want{}
	for _, n := range all.Nodes {
		if all.Balances(n) || n.Role == spec.RoleWorker {
			out[n.Name] = look.Want{Programs: render.BalancerUnits}
		}
	}
	for name, m := range stays {
		out[name] = apply.WantOf(m)
	}
	return out
}

// look sees the cluster as it is. While none of its machines runs there is nobody to ask
// of a new one.
func (l *live) look(ctx context.Context) error {
	all := l.union()
	if running, err := l.running(); err != nil || l.fresh() && len(running) == 0 {
		return err
	}
	if l.entrance == nil && l.relocates() {
		l.findEntrance(ctx)
	}
	looker := look.Looker{Cluster: l.access(), Nodes: all.Nodes, Members: l.members(), Power: l.power, Wanted: wantedOf(all, l.rendered)}
	l.lookForImages(looker.Wanted)
	for _, n := range l.dataFrom() {
		want := looker.Wanted[n.Name]
		want.EtcdData = true
		looker.Wanted[n.Name] = want
	}
	var err error
	if l.seen, err = looker.State(ctx); err != nil {
		return err
	}
	if !l.seen.APISeen {
		return nil
	}
	l.objects, err = l.compareObjects(ctx)
	if err != nil && l.fresh() { // its API is just coming up; they are applied whatever they are
		l.seen.Unseen, err = append(l.seen.Unseen, "objects: "+err.Error()), nil
	}
	return err
}

// ours is an error where the cluster answers and none of its machines is one of ours: what this
// folder does not know of is not gone.
func (l *live) ours() error {
	for _, m := range l.seen.Machines {
		if m.Running {
			return nil
		}
	}
	if !l.seen.APISeen {
		return nil
	}
	return withHint(fmt.Errorf("cluster %s answers at %s, and none of its machines is in %s: they were made from another folder",
		l.topology.Name, l.topology.APIEndpoint(), l.Store.Machines()), "set HAPLANE_HOME to the folder from which haplane up was run")
}

// newest is an error where the cluster has what the record of it does not: somebody changed it with
// another record, and what this one has would take that back without a word.
func (l *live) newest(ctx context.Context) error {
	unknown := strangers(l.nodes, l.seen)
	if len(unknown) == 0 {
		return nil
	}
	if err := l.othersAtIt(ctx); err != nil { // which is why
		return err
	}
	return withHint(fmt.Errorf("the record of cluster %s in %s does not know %s: it is older than the cluster, or somebody added this by other means",
		l.topology.Name, l.Store.Dir, strings.Join(unknown, ", ")),
		"go on with the folder of whoever changed the cluster last; what came by other means has to go by these first")
}

// strangers are the etcd members and the servers of load balancers that are none of the nodes.
func strangers(nodes []change.Node, seen observed.State) []string {
	var out []string
	add := func(text string, is func(change.Node) bool) {
		if !slices.ContainsFunc(nodes, is) && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	members := seen.Etcd.Members
	if !seen.Etcd.Quorum {
		members = nil // what one of them remembers may be old
	}
	for _, m := range members {
		text := "etcd member " + cmp.Or(m.Name, fmt.Sprintf("%x", m.ID)) + " at " + strings.Join(m.PeerURLs, ", ")
		add(text, func(n change.Node) bool { return n.Name == m.Name || slices.Contains(m.PeerURLs, n.EtcdPeerURL()) })
	}
	for _, lb := range slices.Sorted(maps.Keys(seen.Balancers)) {
		for _, name := range slices.Sorted(maps.Keys(seen.Balancers[lb].Servers)) {
			add("server "+name+" of "+lb, func(n change.Node) bool { return n.Name == name })
		}
	}
	return out
}

// room is an error where this host cannot take the machines that are to be made beside those
// that run, or somebody else has an address that they, or those that are started, take: said before anything is touched.
func (l *live) room(ctx context.Context) error {
	var made []string
	for _, s := range l.change.Steps {
		if s.Verb == change.CreateMachine {
			made = append(made, s.Node)
		}
	}
	if len(made) > 0 {
		if err := l.provider().Check(ctx, made); err != nil {
			return err
		}
	}
	return l.addressesFree(ctx, l.starting())
}

// plan makes the steps out of what was seen.
func (l *live) plan(ctx context.Context) error {
	if !l.fresh() {
		if err := errors.Join(l.ours(), l.newest(ctx)); err != nil {
			return err
		}
	}
	if err := l.blocked(ctx); err != nil {
		return err
	}
	in := change.Input{Wanted: l.topology, Record: l.nodes, Desired: l.rendered, Observed: l.seen, Replace: l.Replace, Back: l.Abort, Moving: l.etcdMoves(),
		OneByOne: len(l.renew) > 0, Rotate: l.step(), Upgrade: l.upgrade(), Task: l.Task, Done: l.doneBefore(), Begun: l.begunBefore(), Resumed: l.record.Change != nil}
	if !l.fresh() {
		l.foreign = l.foreigners(ctx)
		in.Foreign = l.foreignPaths()
		in.KubeletsBack = l.topology.KubeletOnCP && slices.ContainsFunc(l.was, func(t *topology.Topology) bool { return !t.KubeletOnCP })
		in.Relocates, in.Readdressed = l.relocation(), l.readdressed()
		in.Handover, in.Last, in.Narrowed = l.handover(), l.lasts(), l.narrowed
	}
	for _, r := range l.issues {
		in.Issued = append(in.Issued, change.Reason{What: "certificate " + r.Name, Old: r.OldSerial, New: r.Reason})
	}
	for _, o := range l.objects {
		in.Objects = append(in.Objects, change.Reason{What: o.Kind + " " + o.Name, New: string(o.Change)})
	}
	if !l.fresh() && !l.seen.APISeen { // of a cluster that was stopped, say: they may be those of an older haplane
		in.Objects = append(in.Objects, change.Reason{What: "objects", New: "nobody could look, because the API does not answer"})
	}
	if l.fresh() {
		l.change = change.BringUp(in)
		return nil
	}
	var err error
	switch {
	case l.restores() && l.Abort:
		l.change, err = change.RestoreBack(in)
	case l.restores():
		l.change, err = change.Restore(in)
	default:
		l.change, err = change.Plan(in)
	}
	return l.explainPlan(err)
}

// off are the nodes whose machines were made and do not run, those that leave too.
func (l *live) off() []string {
	var out []string
	for _, n := range l.union().Nodes {
		if m := l.seen.Machines[n.Name]; m.Made && !m.Running {
			out = append(out, n.Name)
		}
	}
	return out
}

// explainPlan names the way on where there is no plan.
func (l *live) explainPlan(err error) error {
	var lost *change.LostError
	if errors.As(err, &lost) {
		return withHint(err, fmt.Sprintf("haplane node replace %s --cluster %s", strings.Join(lost.Nodes, " "), l.topology.Name))
	}
	var refused *change.Refused
	if errors.As(err, &refused) {
		if off := l.off(); len(off) > 0 {
			return withHint(err, fmt.Sprintf("haplane start --cluster %s starts the machines of %s", l.topology.Name, strings.Join(off, ", ")))
		}
		return withHint(err, "haplane status --cluster "+l.topology.Name+" shows what is missing")
	}
	var gone *change.GoneError
	if errors.As(err, &gone) {
		return withHint(err, fmt.Sprintf("go on instead of back: haplane apply --cluster %s; then haplane node add what is wanted again", l.topology.Name))
	}
	var silent *change.UnreachableError
	if errors.As(err, &silent) {
		return withHint(err, fmt.Sprintf("its console is in %s; run the command again when it answers, or make it anew: haplane node replace %s --cluster %s",
			filepath.Join(l.Store.Machines(), silent.Nodes[0], "console.log"), silent.Nodes[0], l.topology.Name))
	}
	return err
}
