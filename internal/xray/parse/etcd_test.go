package parse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

const statusText = `{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"7","raft_term":"2"},
"version":"3.6.4","dbSize":"4096","leader":"10276657743932975437","raftIndex":"12","raftTerm":"2","raftAppliedIndex":"12",
"errors":["memberID:10276657743932975437 alarm:NOSPACE ","memberID:1  alarm:CORRUPT"],
"dbSizeInUse":"2048","storageVersion":"3.6.0","dbSizeQuota":"2147483648"}`

func TestEtcdStatus(t *testing.T) {
	e := evidence.Etcd{Endpoint: "https://127.0.0.1:2379"}
	if err := EtcdStatus(statusText, &e); err != nil {
		t.Fatal(err)
	}
	want := evidence.Etcd{Endpoint: "https://127.0.0.1:2379", ID: "8e9e05c52164694d", ClusterID: "cdf818194e3a8c32", Leader: "8e9e05c52164694d", Version: "3.6.4",
		Alarms: []string{"NOSPACE on member 8e9e05c52164694d", "CORRUPT on member 1"}, DBSize: 4096, DBInUse: 2048, Quota: 2147483648}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
	learner := evidence.Etcd{Quota: 5, Leader: "8e9e05c52164694d"}
	if err := EtcdStatus(`{"header":{"member_id":"2","cluster_id":"3"},"version":"3.5.1","isLearner":true,"dbSize":"-1","errors":["etcdserver: no leader"]}`, &learner); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(evidence.Etcd{ID: "2", ClusterID: "3", Version: "3.5.1", Learner: true, Quota: 5}, learner); diff != "" {
		t.Error(diff)
	}
}

func TestEtcdErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an error", `{"error":"etcdserver: no leader","code":14,"message":"etcdserver: no leader"}`, "etcdserver: no leader"},
		{"of a later gateway", `{"code":16,"message":"invalid auth","details":[]}`, "invalid auth"},
		{"a page", "<html>", "not an answer of etcd: invalid character"},
		{"nothing", "", "not an answer of etcd: unexpected end"},
		{"another answer", `{"x":1}`, "not an answer of etcd: no "},
		{"a list", "[]", "not an answer of etcd: json"},
		{"null", "null", "not an answer of etcd: no "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e evidence.Etcd
			_, membersErr := EtcdMembers(tt.text)
			_, alarmsErr := EtcdAlarms(tt.text)
			for name, err := range map[string]error{"status": EtcdStatus(tt.text, &e), "members": membersErr, "alarms": alarmsErr} {
				if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
					t.Errorf("%s: %v, want %s", name, err, tt.want)
				}
			}
			if diff := cmp.Diff(evidence.Etcd{}, e); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, text := range map[string]string{"too large": `{"header":{"member_id":"18446744073709551616"}}`, "text": `{"header":{"member_id":"a"}}`,
		"negative": `{"header":{"member_id":"-1"}}`, "a size": `{"header":{"member_id":"1"},"dbSize":"9223372036854775808"}`} {
		if err := EtcdStatus(text, &evidence.Etcd{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEtcdMembers(t *testing.T) {
	got, err := EtcdMembers(`{"header":{},"members":[
{"ID":"10276657743932975437","name":"cp-1","peerURLs":["https://10.0.0.11:2380"],"clientURLs":["https://10.0.0.11:2379"]},
{"ID":"2","peerURLs":["https://10.0.0.12:2380"],"isLearner":true}]}`)
	want := []evidence.EtcdMember{
		{ID: "8e9e05c52164694d", Name: "cp-1", PeerURLs: []string{"https://10.0.0.11:2380"}, ClientURLs: []string{"https://10.0.0.11:2379"}},
		{ID: "2", PeerURLs: []string{"https://10.0.0.12:2380"}, Learner: true},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestEtcdAlarms(t *testing.T) {
	for text, want := range map[string][]string{
		`{"header":{}}`: {},
		`{"header":{},"alarms":[{"memberID":"10","alarm":"NOSPACE"},{"memberID":"11"},{"memberID":"12","alarm":"NONE"}]}`: {"NOSPACE on member a"},
	} {
		got, err := EtcdAlarms(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %s %v", text, diff, err)
		}
	}
}

func TestEtcdHealth(t *testing.T) {
	for _, tt := range []struct {
		text, reason string
		healthy, err bool
	}{
		{`{"health":"true","reason":""}`, "", true, false},
		{`{"health":"false","reason":"RAFT NO LEADER"}`, "RAFT NO LEADER", false, false},
		{`{}`, "", false, true},
		{`404 page not found`, "", false, true},
	} {
		healthy, reason, err := EtcdHealth(tt.text)
		if healthy != tt.healthy || reason != tt.reason || (err != nil) != tt.err {
			t.Errorf("%s: %t %q %v", tt.text, healthy, reason, err)
		}
	}
}

func FuzzEtcd(f *testing.F) {
	f.Add(statusText)
	f.Add(`{"header":{},"members":[{"ID":null,"peerURLs":[null]}],"alarms":[{"memberID":"1","alarm":"\u0000"}]}`)
	f.Add(strings.Repeat("[", 11000))
	f.Add(`{"error":"a","message":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var e evidence.Etcd
		if err := EtcdStatus(text, &e); err == nil && (e.ID == "" || e.ID == "0") || e.DBSize < 0 || e.DBInUse < 0 || e.Quota < 0 {
			t.Errorf("%+v", e)
		}
		if members, err := EtcdMembers(text); (err == nil) != (len(members) > 0) {
			t.Errorf("%v, %v", members, err)
		}
		if alarms, err := EtcdAlarms(text); (err == nil) != (alarms != nil) {
			t.Errorf("%v, %v", alarms, err)
		}
		EtcdHealth(text)
	})
}
