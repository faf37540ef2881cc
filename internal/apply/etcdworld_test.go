package apply

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// An etcdWorld is the membership that all members of the world have.
type etcdWorld struct {
	members []*pb.Member
	leader  uint64
	next    uint64

	held map[string]bool // nodes whose API servers write nothing for the moment

	unsettled bool // a voter has just joined: the next member is refused once

	defragmented []string // nodes, and how each was then

	restored map[string]bool // nodes whose members have the data of a snapshot
}

// exchange is what becomes of a member's data by a command. Nobody may read or write any data meanwhile, and all have the same
// when etcd runs. The lock is held.
func (w *world) exchange(node string, argv []string) {
	running := func(unit string) (out []string) {
		for name := range w.hosts {
			if w.runs(name, unit) {
				out = append(out, name)
			}
		}
		return out
	}
	switch {
	case len(argv) < 3:
	case argv[2] == swapScript || argv[2] == swapBackScript:
		if busy := slices.Concat(running("etcd"), running("kube-apiserver")); len(busy) > 0 {
			w.t.Errorf("the data of %s is exchanged while %v run", node, busy)
		}
		if w.etcd.restored == nil {
			w.etcd.restored = map[string]bool{}
		}
		w.etcd.restored[node] = argv[2] == swapScript
	case len(argv) > 4 && argv[3] == "start" && argv[4] == "etcd.service":
		for _, m := range w.etcd.members {
			if w.etcd.restored[m.Name] != w.etcd.restored[node] {
				w.t.Errorf("etcd starts on %s, and %s has other data", node, m.Name)
			}
		}
	}
}

// A fakeMember answers on the address of a node, while etcd runs there.
type fakeMember struct {
	pb.UnimplementedKVServer
	pb.UnimplementedClusterServer
	pb.UnimplementedMaintenanceServer
	world *world
	node  topology.Node
}

func (e *etcdWorld) begin(w *world, members []topology.Node) {
	for i, n := range members {
		e.members = append(e.members, &pb.Member{ID: uint64(i + 1), Name: n.Name, PeerURLs: []string{n.EtcdPeerURL()}, ClientURLs: []string{n.EtcdClientURL()}})
	}
	e.leader, e.next, e.held = 1, uint64(len(members)+1), map[string]bool{}
	for _, n := range w.all {
		if n.Role == spec.RoleControlPlane || n.Role == spec.RoleEtcd {
			(&fakeMember{world: w, node: n}).serve()
		}
	}
}

func (f *fakeMember) serve() {
	w := f.world
	w.t.Helper()
	pair := w.keys.Pairs[pki.EtcdServer(f.node.Name)]
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})))
	pb.RegisterKVServer(server, f)
	pb.RegisterClusterServer(server, f)
	pb.RegisterMaintenanceServer(server, f)
	w.listen(strings.TrimPrefix(f.node.EtcdClientURL(), "https://"), server.Serve, server.Stop)
}

// lock returns the node's own member, which has begun by now, or an error where none answers.
func (f *fakeMember) lock() (*pb.Member, func(), error) {
	w := f.world
	w.mu.Lock()
	i := slices.IndexFunc(w.etcd.members, func(m *pb.Member) bool { return slices.Contains(m.PeerURLs, f.node.EtcdPeerURL()) })
	if i < 0 || !w.runs(f.node.Name, "etcd") {
		w.mu.Unlock()
		return nil, nil, status.Error(codes.Unavailable, "connection refused")
	}
	me := w.etcd.members[i]
	if me.Name == "" && joins(w.hosts[f.node.Name].Files(), f.node) {
		me.Name, me.ClientURLs = f.node.Name, []string{f.node.EtcdClientURL()}
		if w.data[f.node.Name] {
			w.t.Errorf("the new member of %s finds data of an earlier one", f.node.Name)
		}
		w.data[f.node.Name] = true
	}
	if me.Name == "" {
		w.mu.Unlock()
		return nil, nil, status.Error(codes.Unavailable, "it was not told whom to join")
	}
	return me, w.mu.Unlock, nil
}

func joins(files fileset.Set, n topology.Node) bool {
	return strings.Contains(string(files[render.EtcdJoinPath].Data), n.Name+"="+n.EtcdPeerURL())
}

// quorum reports whether enough voters run. The lock is held.
func (e *etcdWorld) quorum(w *world) bool {
	voters, run := 0, 0
	for _, m := range e.members {
		if !m.IsLearner {
			voters++
			if w.runs(m.Name, "etcd") {
				run++
			}
		}
	}
	return run > voters/2
}

func (f *fakeMember) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	me, unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return &pb.StatusResponse{Header: &pb.ResponseHeader{MemberId: me.ID, ClusterId: 7}, Leader: f.world.etcd.leader, IsLearner: me.IsLearner}, nil
}

// voter is lock where a quorum is needed.
func (f *fakeMember) voter() (func(), error) {
	me, unlock, err := f.lock()
	switch {
	case err != nil:
		return nil, err
	case me.IsLearner:
		unlock()
		return nil, rpctypes.ErrGRPCNotSupportedForLearner
	case !f.world.etcd.quorum(f.world):
		unlock()
		return nil, rpctypes.ErrGRPCNoLeader
	}
	return unlock, nil
}

func (f *fakeMember) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if r.Serializable {
		return &pb.RangeResponse{}, nil
	}
	unlock, err := f.voter()
	if err == nil {
		unlock()
	}
	return &pb.RangeResponse{}, err
}

func (f *fakeMember) MemberList(_ context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	if r.Linearizable {
		unlock, err := f.voter()
		if err != nil {
			return nil, err
		}
		unlock()
	}
	me, unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if me.IsLearner {
		return nil, rpctypes.ErrGRPCNotSupportedForLearner
	}
	out := &pb.MemberListResponse{}
	for _, m := range f.world.etcd.members {
		out.Members = append(out.Members, &pb.Member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, IsLearner: m.IsLearner})
	}
	return out, nil
}

func (f *fakeMember) MemberAdd(_ context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	unlock, err := f.voter()
	if err != nil {
		return nil, err
	}
	defer unlock()
	e := &f.world.etcd
	if e.unsettled {
		e.unsettled = false
		return nil, rpctypes.ErrGRPCUnhealthy
	}
	m := &pb.Member{ID: e.next, PeerURLs: r.PeerURLs, IsLearner: r.IsLearner}
	e.next++
	e.members = append(e.members, m)
	return &pb.MemberAddResponse{Member: &pb.Member{ID: m.ID, PeerURLs: m.PeerURLs, IsLearner: m.IsLearner}}, nil
}

func (f *fakeMember) change(id uint64, fn func(i int)) error {
	unlock, err := f.voter()
	if err != nil {
		return err
	}
	defer unlock()
	i := slices.IndexFunc(f.world.etcd.members, func(m *pb.Member) bool { return m.ID == id })
	if i < 0 {
		return rpctypes.ErrGRPCMemberNotFound
	}
	fn(i)
	return nil
}

func (f *fakeMember) MemberPromote(_ context.Context, r *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	return &pb.MemberPromoteResponse{}, f.change(r.ID, func(i int) { f.world.etcd.members[i].IsLearner, f.world.etcd.unsettled = false, true })
}

func (f *fakeMember) MemberRemove(_ context.Context, r *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	return &pb.MemberRemoveResponse{}, f.change(r.ID, func(i int) {
		e := &f.world.etcd
		if e.leader == e.members[i].ID {
			f.world.t.Errorf("%s leads, and is removed", e.members[i].Name)
		}
		e.members = slices.Delete(e.members, i, i+1)
	})
}

func (f *fakeMember) MoveLeader(_ context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	return &pb.MoveLeaderResponse{}, f.change(r.TargetID, func(int) {
		for name := range f.world.hosts {
			if f.world.runs(name, "kube-apiserver") && !f.world.etcd.held[name] {
				f.world.t.Errorf("etcd's leader moves while %s may write", name)
			}
		}
		f.world.etcd.leader = r.TargetID
	})
}

func (f *fakeMember) Defragment(context.Context, *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	me, unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	how := me.Name
	if f.world.etcd.leader == me.ID {
		how += " leads"
	}
	if f.world.drained[topology.HAProxyBackend+"/"+me.Name] {
		how += " drained"
	}
	f.world.etcd.defragmented = append(f.world.etcd.defragmented, how)
	return &pb.DefragmentResponse{}, nil
}
