package view

import (
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/cluster"
)

func TestEtcdTables(t *testing.T) {
	var w strings.Builder
	members := []cluster.EtcdMember{
		{Name: "cp-1", ID: "a1", PeerURLs: []string{"https://10.0.0.1:2380"}, ClientURLs: []string{"https://10.0.0.1:2379"}, Role: "voter", Leader: true, Healthy: true, Version: "3.7.3",
			DBSize: 3 << 20, DBInUse: 1 << 20, RaftIndex: 9, Alarms: []string{"NOSPACE"}},
		{ID: "b2", Role: "learner", Error: "it has not started yet"},
	}
	if err := EtcdMembers(&w, members); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"cp-1   a1   https://10.0.0.1:2380   https://10.0.0.1:2379   voter, leader   yes       3.7.3     3.0 MiB   1.0 MiB   9            NOSPACE",
		"-      b2   -                       -                       learner         no        -", "\netcd member b2: it has not started yet\n"} {
		if !strings.Contains(w.String(), line) {
			t.Errorf("no %q in\n%s", line, w.String())
		}
	}
	w.Reset()
	list := []cluster.Snapshot{{File: "a.tar", Revision: 7, Keys: 3, Taken: time.Unix(1e9, 0).UTC(), Bytes: 1 << 20, Stale: []string{"ca"}}, {File: "b.tar.age", Encrypted: true}, {File: "c.tar", Error: "it is damaged"},
		{File: "d.tar", Revision: 8, Stale: []string{"ca", "encryption"}}, {File: "e.tar", Revision: 9, Stale: []string{"encryption"}, WithoutKeys: true}, {File: "f.tar", Revision: 10, WithoutKeys: true}}
	if err := Snapshots(&w, list); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"a.tar       2001-09-09 01:46:40 UTC   7          3      1.0 MiB   of before ca was rotated", "encrypted: --identity FILE reads it", "it is damaged",
		"of before ca and encryption was rotated, restored with its own encryption key\n", "of before encryption was rotated, NOT RESTORABLE: its Secrets cannot be read any more\n", "0.0 MiB   -\n"} {
		if !strings.Contains(w.String(), line) {
			t.Errorf("no %q in\n%s", line, w.String())
		}
	}
	w.Reset()
	restored(&w, &cluster.Restored{Revision: 7, LostRevisions: 3, LostKnown: true, SecondsToFirstWrite: 6.25})
	restored(&w, &cluster.Restored{Revision: 7})
	restored(&w, &cluster.Restored{Revision: 7, SecondsToFirstWrite: 21, Made: []string{"cp-1"}})
	want := "first write acknowledged 6.2 s after the API was stopped\nrestored is revision 7; lost revisions: 3\nrestored is revision 7; lost revisions: nobody can know\n" +
		"first write acknowledged 21.0 s after the first machine was begun\nrestored is revision 7; lost revisions: nobody can know\n"
	if w.String() != want {
		t.Errorf("%s", w.String())
	}
}
