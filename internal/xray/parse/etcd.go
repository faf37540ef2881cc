package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// EtcdStatus puts the answer of /v3/maintenance/status into e.
func EtcdStatus(text string, e *evidence.Etcd) error {
	var s struct {
		Header struct {
			Cluster etcdID `json:"cluster_id"`
			Member  etcdID `json:"member_id"`
		}
		Version string
		DBSize  etcdSize
		InUse   etcdSize `json:"dbSizeInUse"`
		Quota   etcdSize `json:"dbSizeQuota"`
		Leader  etcdID
		Learner bool `json:"isLearner"`
		Errors  []string
	}
	if err := answer(text, &s); err != nil {
		return err
	}
	if s.Header.Member == 0 {
		return errors.New("not an answer of etcd: no member ID")
	}
	e.ID, e.ClusterID, e.Version, e.Learner = s.Header.Member.String(), s.Header.Cluster.String(), s.Version, s.Learner
	e.Leader = ""
	if s.Leader != 0 {
		e.Leader = s.Leader.String()
	}
	e.DBSize, e.DBInUse = int64(s.DBSize), int64(s.InUse)
	if s.Quota != 0 {
		e.Quota = int64(s.Quota)
	}
	for _, text := range s.Errors {
		if m := raised.FindStringSubmatch(text); m != nil {
			id, _ := strconv.ParseUint(m[1], 10, 64)
			e.Alarms = append(e.Alarms, alarm(m[2], etcdID(id)))
		}
	}
	return nil
}

// raised is an alarm among the errors of a status, which tells them without the
// quorum that the list of alarms goes through.
var raised = regexp.MustCompile(`memberID:\s*(\d+)\s+alarm:\s*(\w+)`)

func alarm(kind string, member etcdID) string { return kind + " on member " + member.String() }

// EtcdMembers reads the answer of /v3/cluster/member/list.
func EtcdMembers(text string) ([]evidence.EtcdMember, error) {
	var list struct {
		Members []struct {
			ID         etcdID
			Name       string
			PeerURLs   []string
			ClientURLs []string
			IsLearner  bool
		}
	}
	if err := answer(text, &list); err != nil {
		return nil, err
	}
	if len(list.Members) == 0 {
		return nil, errors.New("not an answer of etcd: no members")
	}
	var out []evidence.EtcdMember
	for _, m := range list.Members {
		out = append(out, evidence.EtcdMember{ID: m.ID.String(), Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.IsLearner})
	}
	return out, nil
}

// EtcdAlarms reads the answer of /v3/maintenance/alarm.
func EtcdAlarms(text string) ([]string, error) {
	var list struct {
		Header *struct{}
		Alarms []struct {
			MemberID etcdID `json:"memberID"`
			Alarm    string
		}
	}
	if err := answer(text, &list); err != nil {
		return nil, err
	}
	if list.Header == nil {
		return nil, errors.New("not an answer of etcd: no header")
	}
	out := []string{}
	for _, a := range list.Alarms {
		if a.Alarm != "" && a.Alarm != "NONE" {
			out = append(out, alarm(a.Alarm, a.MemberID))
		}
	}
	return out, nil
}

// EtcdHealth reads the answer of /health: whether it is healthy, and why not.
func EtcdHealth(text string) (healthy bool, reason string, err error) {
	var h struct{ Health, Reason string }
	if err := json.Unmarshal([]byte(text), &h); err != nil || h.Health == "" {
		return false, "", fmt.Errorf("not an answer of etcd: %.100q", text)
	}
	return h.Health == "true", h.Reason, nil
}
