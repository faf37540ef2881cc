package xray

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// etcd's alert etcdBackendQuotaLowSpace is critical from 95% on.
const (
	quotaDefault = 2 << 30
	quotaWarn    = 80
	quotaFail    = 95
)

func etcdAlarmsAndQuota(s *Scene) []Finding {
	out := s.etcdAlarms()
	for _, n := range s.etcdNodes() {
		if n.DBSize > 0 {
			out = append(out, n.room())
		}
	}
	return out
}

// room judges how much of its quota a member has left.
func (n etcdNode) room() Finding {
	quota, how := n.quota()
	if quota < 0 {
		return n.at().warn("a quota", size(n.DBSize)+", and no quota: it grows until the disk is full").fixed("Set --quota-backend-bytes.")
	}
	percent := n.DBSize * 100 / quota
	observed := fmt.Sprintf("%s of %s (%d%%)%s", size(n.DBSize), size(quota), percent, how)
	if n.DBInUse > 0 {
		observed += fmt.Sprintf(", %s in use", size(n.DBInUse))
	}
	status := Warn
	if percent >= quotaFail {
		status = Fail
	}
	return n.at().judge(percent < quotaWarn, status, fmt.Sprintf("less than %d%% of the quota", quotaWarn), observed)
}

// etcdAlarms are the same on all members; each is shown once, where it was raised.
func (s *Scene) etcdAlarms() []Finding {
	var out []Finding
	var seen []string
	for _, n := range s.etcdNodes() {
		for _, alarm := range n.Alarms {
			if slices.Contains(seen, alarm) {
				continue
			}
			seen = append(seen, alarm)
			f := s.raisedBy(alarm, n).fail("no alarm", alarm)
			if strings.Contains(alarm, "CORRUPT") {
				f = f.fixed("Find the member whose data differs (etcdctl endpoint hashkv), remove it and add it again with no data.")
			}
			out = append(out, f)
		}
	}
	return out
}

// raisedBy is where an alarm was raised: on the machine of the member that it names.
func (s *Scene) raisedBy(alarm string, n etcdNode) at {
	for _, member := range s.etcdMembers() {
		if member.ID == "" || !strings.Contains(alarm, member.ID) {
			continue
		}
		if m := s.memberMachine(member); m != nil {
			return at{m.Name, n.Endpoint}
		}
	}
	return n.cluster()
}

// quota is how large the database may become. A negative one is none.
func (n etcdNode) quota() (limit int64, how string) {
	if n.Quota > 0 {
		return n.Quota, ""
	}
	if p := n.machine.Program(evidence.EtcdServer); p != nil {
		f, err := strconv.ParseFloat(p.EtcdSetting("quota-backend-bytes", "0"), 64)
		if err == nil && f != 0 {
			return int64(f), ""
		}
	}
	return quotaDefault, ", the default quota"
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

// etcd counts fsyncs in buckets of 1 ms times powers of two, so 10 ms, which its
// documentation asks for, lies in the bucket up to 16 ms: slower is what is surely
// above. It fails what etcd's own alert etcdHighFsyncDurations calls critical.
const (
	fsyncSlow     = 16 * time.Millisecond
	fsyncCritical = 1024 * time.Millisecond
)

func etcdDiskLatency(s *Scene) []Finding {
	var out []Finding
	for _, n := range s.etcdNodes() {
		if n.FsyncP99 == 0 {
			continue
		}
		status := Warn
		if n.FsyncP99 > fsyncCritical {
			status = Fail
		}
		observed := fmt.Sprintf("99%% of all fsyncs since its start took at most %s", n.FsyncP99)
		if n.CommitP99 > 0 {
			observed += fmt.Sprintf(", of all commits %s", n.CommitP99)
		}
		out = append(out, n.at().judge(n.FsyncP99 <= fsyncSlow, status, "99% within 10 ms (measured up to 16 ms)", observed))
	}
	return out
}
