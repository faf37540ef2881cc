package main

// etcd's data: defragmented, restored, recovered. What a restore or a recovery loses is looked for: somebody writes until the
// data is gone, and each acknowledged write is looked for afterwards. By hand:
//
//	go run ./e2e/bench -only upkeep -samples upkeep.json -match 'defragment|restore|recover'

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/provider/nspawn"
)

func dataTasks(round int) [][]task {
	return [][]task{
		{{what: "defragment all members", args: []string{"etcd", "defrag"}, token: ofPod, before: deleted, finish: []string{"etcd", "defrag"}}},
		{{what: "restore from a snapshot", once: true, run: restore}},
		{{what: "recover from a lost quorum", once: true, run: func(ctx context.Context, u *upkeep) (lanes.Sample, error) { return recoverFrom(ctx, u, round) }}},
	}
}

// asEtcd lets etcdctl on a control-plane node ask its member.
const asEtcd = "export ETCDCTL_CACERT=/etc/kubernetes/pki/etcd/ca.crt ETCDCTL_CERT=/etc/kubernetes/pki/etcd/healthcheck-client.crt ETCDCTL_KEY=/etc/kubernetes/pki/etcd/healthcheck-client.key; "

// deleted leaves data in each member's file that is deleted: some 12 MiB of room to give back.
func deleted(ctx context.Context, u *upkeep) error {
	return ok(u.SSH(ctx, "cp-1", "set -e; "+asEtcd+"head -c 700000 /dev/urandom | base64 -w 0 >/tmp/megabyte\n"+
		"for i in $(seq 12); do etcdctl put /filler/$i </tmp/megabyte >/dev/null; done; etcdctl del --prefix /filler/ >/dev/null\n"+
		`etcdctl compact --physical $(etcdctl get x -w json | sed 's/.*"revision":\([0-9]*\).*/\1/') >/dev/null; rm /tmp/megabyte`))
}

// How long is written before the data is lost, and how long what was acknowledged may take to be looked for.
const (
	writeBefore = 5 * time.Second
	lookAfter   = 3 * time.Minute
)

// restore goes back to a snapshot while somebody writes: what is lost is what was written after it.
func restore(ctx context.Context, u *upkeep) (lanes.Sample, error) {
	saved := u.Run(ctx, "etcd", "snapshot", "save", "--cluster", u.Name, "--retain", "1", "--output", "json")
	if err := ok(saved); err != nil {
		return lanes.Sample{}, err
	}
	var snapshot struct{ File string }
	if err := json.Unmarshal([]byte(saved.Stdout), &snapshot); err != nil || snapshot.File == "" {
		return lanes.Sample{}, fmt.Errorf("find snapshot in %q: %w", saved.Stdout, err)
	}
	return u.restored(ctx, func(context.Context) error { return nil }, "etcd", "restore", snapshot.File, "--discard-newer")
}

// recoverFrom destroys two machines of three with their disks while somebody writes, each round others.
func recoverFrom(ctx context.Context, u *upkeep, round int) (lanes.Sample, error) {
	left := (round-1)%3 + 1
	var gone []string
	for i := 1; i <= 3; i++ {
		if i != left {
			gone = append(gone, fmt.Sprintf("cp-%d", i))
		}
	}
	provider := &nspawn.Provider{Cluster: u.Name, StateDir: filepath.Join(u.Store(), "machines"), Network: nspawn.Network{Prefixes: []netip.Prefix{u.Network}}}
	destroy := func(ctx context.Context) error {
		_, err := provider.Remove(ctx, gone...)
		return err
	}
	return u.restored(ctx, destroy, "etcd", "recover")
}

// restored runs a command that takes etcd's data from elsewhere, and beside it writes of which each acknowledged one is looked for afterwards.
func (u *upkeep) restored(ctx context.Context, lose func(context.Context) error, args ...string) (lanes.Sample, error) {
	config, err := u.config(ctx)
	if err != nil {
		return lanes.Sample{}, err
	}
	writes, err := kubeprobe.ForConfig(config, nil).Lanes(kubeprobe.Write)
	if err != nil {
		return lanes.Sample{}, err
	}
	session, err := probe.Start(ctx, writes, probe.Options{Rate: u.options.rate, Finish: lookAfter})
	if err != nil {
		return lanes.Sample{}, err
	}
	stop := func() lanes.Measured { return measured(session.Stop()) }
	select {
	case <-ctx.Done():
		stop()
		return lanes.Sample{}, ctx.Err()
	case <-time.After(writeBefore):
	}
	if err := lose(ctx); err != nil {
		stop()
		return lanes.Sample{}, err
	}
	result := u.Run(ctx, append(args, "--cluster", u.Name, "--yes", "--quiet", "--output", "json", "--no-probe")...)
	sample := lanes.Sample{Measured: stop(), Seconds: result.Elapsed.Seconds()}
	sample.Lanes = nil // most of the time there is no API
	sample.Restored, err = lanes.ReadRestored([]byte(result.Stdout))
	switch {
	case result.Code != 0:
		sample.Error = fmt.Sprintf("exit code %d: %s", result.Code, strings.TrimSpace(result.Stderr))
	case err != nil:
		sample.Error = err.Error()
	}
	return sample, ctx.Err()
}
