package xray

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// snapshotLate is how long one may take that is due: machines take turns, and one that failed is tried again.
const snapshotLate = 5 * time.Minute

// etcdSnapshotsCurrent asks those who take them; who does not by haplane's schedule may by other means.
func etcdSnapshotsCurrent(s *Scene) []Finding {
	var out []Finding
	for _, p := range s.Instances(evidence.HaplaneSnapshots) {
		out = append(out, s.judgeSnapshots(p))
	}
	if len(out) == 0 {
		return []Finding{at{}.skip("no machine takes them by a schedule of haplane's; whether others do is not seen")}
	}
	return out
}

func (s *Scene) judgeSnapshots(p Instance) Finding {
	if p.Machine.Way == evidence.Folder {
		return p.at().skip("whether it runs is not seen in a folder")
	}
	const expected = "haplane agent snapshots runs, and has a snapshot as new as its schedule wants"
	if !p.Running {
		return p.at().fail(expected, runs(p))
	}
	asked := purpose(p.Machine, evidence.SnapshotHealth)
	if len(asked) == 0 {
		return p.at().pass("it runs; its health was not asked")
	}
	r := asked[0]
	where := at{p.Machine.Name, "GET " + r.URL}
	var health struct {
		Kept  int        `json:"kept"`
		Last  *time.Time `json:"last"`
		Due   *time.Time `json:"due"`
		Error string     `json:"error"`
	}
	if r.Err != "" || json.Unmarshal([]byte(r.Answer), &health) != nil || health.Due == nil {
		return where.fail(expected, fmt.Sprintf("it does not tell: %d %s", r.Status, r.Err))
	}
	switch overdue := s.since(*health.Due, p.Machine); {
	case health.Last == nil && health.Error != "":
		return where.fail(expected, "it has none: "+health.Error)
	case health.Last == nil:
		return where.warn(expected, "it has none yet")
	case overdue > snapshotLate:
		observed := fmt.Sprintf("it keeps %d, the newest of %s, and one was due %s ago", health.Kept, health.Last.UTC().Format("2006-01-02 15:04:05 MST"), overdue.Round(time.Second))
		if health.Error != "" {
			observed += ": " + health.Error
		}
		return where.fail(expected, observed)
	}
	return where.pass("it keeps %d, the newest of %s", health.Kept, health.Last.UTC().Format("2006-01-02 15:04:05 MST"))
}
