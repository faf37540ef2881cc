package xray

import (
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// takesSnapshots has a machine take snapshots, the next of which is due so long after the look, and answer with
// these fields beside.
func takesSnapshots(machine string, due time.Duration, fields string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, machine)
		m.Programs = append(m.Programs, evidence.Program{Name: evidence.HaplaneSnapshots, From: evidence.FromProcess, Running: true,
			Argv: []string{"/usr/local/bin/haplane", "agent", "snapshots"}, Unit: &evidence.Unit{Name: "haplane-snapshots.service", Active: "active"}})
		m.Requests = append(m.Requests, evidence.Request{Purpose: evidence.SnapshotHealth, URL: "http://127.0.0.1:10272/healthz", Status: 200,
			Answer: fmt.Sprintf(`{"ok":true,"due":%q%s}`, evidencetest.At.Add(due).Format(time.RFC3339), fields)})
	}
}

func snapshotsStop(e *evidence.Evidence) {
	p := evidencetest.Program(e, "cp-1", evidence.HaplaneSnapshots)
	p.Running, p.Unit.Active = false, "failed"
}

const tookSome = `,"kept":5,"last":"2026-11-21T06:00:02Z"`

var etcdSnapshotCases = []checkCase{
	{check: "etcd-snapshots-current", name: "nobody takes any", status: Skip, says: "by a schedule of haplane's"},
	{check: "etcd-snapshots-current", name: "current", status: Pass, says: "keeps 5, the newest of 2026-11-21 06:00:02 UTC", change: takesSnapshots("cp-1", time.Hour, tookSome)},
	{check: "etcd-snapshots-current", name: "just due", status: Pass, says: "keeps 5", change: takesSnapshots("cp-1", -time.Minute, tookSome)},
	{check: "etcd-snapshots-current", name: "overdue", status: Fail, node: "cp-1", says: "was due 2h0m", change: takesSnapshots("cp-1", -2*time.Hour, tookSome)},
	{check: "etcd-snapshots-current", name: "overdue, and why", status: Fail, node: "cp-1", says: ": no room", change: takesSnapshots("cp-1", -2*time.Hour, tookSome+`,"error":"no room"`)},
	{check: "etcd-snapshots-current", name: "none yet", status: Warn, node: "cp-2", says: "none yet", change: takesSnapshots("cp-2", 0, "")},
	{check: "etcd-snapshots-current", name: "none, and why", status: Fail, node: "cp-2", says: "it has none: no etcd member is healthy", change: takesSnapshots("cp-2", 0, `,"error":"no etcd member is healthy"`)},
	{check: "etcd-snapshots-current", name: "stopped", status: Fail, node: "cp-1", says: "haplane-snapshots.service is failed", change: changes(takesSnapshots("cp-1", time.Hour, tookSome), snapshotsStop)},
	{check: "etcd-snapshots-current", name: "it does not answer", status: Fail, node: "cp-1", says: "connection refused", change: changes(takesSnapshots("cp-1", time.Hour, tookSome), func(e *evidence.Evidence) {
		*evidencetest.Request(e, "cp-1", evidence.SnapshotHealth) = evidence.Request{Purpose: evidence.SnapshotHealth, Err: "connection refused"}
	})},
	{check: "etcd-snapshots-current", name: "not asked", status: Pass, says: "its health was not asked", change: changes(takesSnapshots("cp-1", time.Hour, tookSome), func(e *evidence.Evidence) { evidencetest.Machine(e, "cp-1").Requests = nil })},
}
