package etcdapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// remembers are members 1 to n with the client URLs of the fakes that are there.
func remembers(urls ...string) []*pb.Member {
	members := make([]*pb.Member, len(urls))
	for i, url := range urls {
		members[i] = &pb.Member{ID: uint64(i + 1), Name: []string{"cp-1", "cp-2", "cp-3", "cp-4"}[i]}
		if url != "" {
			members[i].ClientURLs = []string{url}
		}
	}
	return members
}

type surveyed struct {
	healthy bool
	err     string // part of it
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	dead := refusing(t)
	three := remembers(dead, dead, dead)
	four := append(remembers(dead, dead, dead), &pb.Member{ID: 4, Name: "cp-4", ClientURLs: []string{dead}})
	nameless := append(remembers(dead, dead, dead), &pb.Member{ID: 4})
	nospace := (&pb.AlarmMember{MemberID: 2, Alarm: pb.AlarmType_NOSPACE}).String()
	member := func(id uint64, quorum bool, applied uint64, members []*pb.Member) *fakeMember {
		leader := uint64(0)
		if quorum {
			leader = 1
		}
		return &fakeMember{id: id, leader: leader, cluster: 77, quorum: quorum, applied: applied, members: members}
	}
	alarmed := member(1, true, 9, three)
	alarmed.problems = []string{nospace}
	learner := &fakeMember{id: 4, leader: 1, learner: true, cluster: 77, applied: 9}
	stranger := &fakeMember{id: 3, leader: 3, cluster: 66, quorum: true, applied: 99, members: three}
	lone := &fakeMember{id: 8, cluster: 77, applied: 2, members: three}

	const noRead = "no answer to a linearizable read"
	tests := map[string]struct {
		fakes    map[string]*fakeMember // nil: nobody listens
		cluster  uint64
		quorum   bool
		members  map[string]surveyed
		disagree []string
		alarms   []Alarm
	}{
		"all well": {
			map[string]*fakeMember{"cp-1": alarmed, "cp-2": member(2, true, 9, three), "cp-3": member(3, true, 9, three)}, 77, true,
			map[string]surveyed{"cp-1": {true, ""}, "cp-2": {true, ""}, "cp-3": {true, ""}}, nil, []Alarm{{Member: 2, Kind: "NOSPACE"}},
		},
		"one is left of three": {
			map[string]*fakeMember{"cp-1": nil, "cp-2": member(2, false, 9, three), "cp-3": nil}, 77, false,
			map[string]surveyed{"cp-1": {false, "refused"}, "cp-2": {false, noRead}, "cp-3": {false, "refused"}}, nil, nil,
		},
		"who applied more knows better": {
			map[string]*fakeMember{"cp-1": member(1, false, 8, three), "cp-2": member(2, false, 9, four)}, 77, false,
			map[string]surveyed{"cp-1": {false, noRead}, "cp-2": {false, noRead}, "cp-3": {false, "cp-3 at " + dead}, "cp-4": {false, "cp-4 at " + dead}},
			[]string{"cp-1 does not know member 4 (cp-4), cp-2 does"}, nil,
		},
		"and may know less": {
			map[string]*fakeMember{"cp-1": member(1, true, 9, three), "cp-2": member(2, true, 8, four)}, 77, true,
			map[string]surveyed{"cp-1": {true, ""}, "cp-2": {true, ""}, "cp-3": {false, "refused"}},
			[]string{"cp-2 remembers member 4 (cp-4), cp-1 does not"}, nil,
		},
		"a learner tells nothing, and is one": {
			map[string]*fakeMember{"cp-1": member(1, true, 9, four), "cp-4": learner}, 77, true,
			map[string]surveyed{"cp-1": {true, ""}, "cp-2": {false, "refused"}, "cp-3": {false, "refused"}, "cp-4": {true, ""}}, nil, nil,
		},
		"a learner alone is no quorum": {
			map[string]*fakeMember{"cp-4": learner}, 77, false, map[string]surveyed{}, nil, nil,
		},
		"one was never started": {
			map[string]*fakeMember{"cp-1": member(1, true, 9, nameless), "cp-2": member(2, true, 9, nameless), "cp-3": member(3, true, 9, nameless)}, 77, true,
			map[string]surveyed{"cp-1": {true, ""}, "cp-2": {true, ""}, "cp-3": {true, ""}, "": {false, "has not started yet"}}, nil, nil,
		},
		"another cluster's": {
			map[string]*fakeMember{"cp-1": member(1, true, 9, three), "cp-2": member(2, true, 9, three), "cp-3": stranger}, 77, true,
			map[string]surveyed{"cp-1": {true, ""}, "cp-2": {true, ""}, "cp-3": {false, "cp-3 is of cluster 42"}},
			[]string{"cp-3 is of cluster 42, not 4d"}, nil,
		},
		"quorum outweighs number": {
			map[string]*fakeMember{"cp-1": member(1, false, 9, three), "cp-2": member(2, false, 9, three), "cp-3": stranger}, 66, true,
			map[string]surveyed{"cp-1": {false, "of cluster 4d"}, "cp-2": {false, "of cluster 4d"}, "cp-3": {true, ""}},
			[]string{"cp-1 is of cluster 4d, not 42", "cp-2 is of cluster 4d, not 42"}, nil,
		},
		"removed and still there": {
			map[string]*fakeMember{"cp-1": member(1, true, 9, three), "cp-9": lone}, 77, true,
			map[string]surveyed{"cp-1": {true, ""}, "cp-2": {false, "refused"}, "cp-3": {false, "refused"}},
			[]string{"cp-9 answers as member 8, which is none by cp-1's memory"}, nil,
		},
		"nobody": {map[string]*fakeMember{"cp-1": nil}, 0, false, map[string]surveyed{}, nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoints := map[string]string{}
			for name, fake := range tt.fakes {
				endpoints[name] = dead
				if fake != nil {
					endpoints[name] = fake.serve(t)
				}
			}
			got := client(t, dead).Survey(t.Context(), endpoints)
			if got.ClusterID != tt.cluster || got.HasQuorum != tt.quorum {
				t.Errorf("cluster %x with quorum %v, want %x, %v", got.ClusterID, got.HasQuorum, tt.cluster, tt.quorum)
			}
			if len(got.Members) != len(tt.members) {
				t.Errorf("members %+v", got.Members)
			}
			for _, m := range got.Members {
				want, known := tt.members[m.Member.Name]
				if !known || m.Healthy != want.healthy || !strings.Contains(m.Error, want.err) || (m.Error == "") != want.healthy {
					t.Errorf("member %+v, want %+v", m, want)
				}
			}
			if diff := cmp.Diff(tt.disagree, got.Disagreements); diff != "" {
				t.Error("disagreements: -want +got\n" + diff)
			}
			if diff := cmp.Diff(tt.alarms, got.Alarms); diff != "" {
				t.Error("alarms: -want +got\n" + diff)
			}
			for name, fake := range tt.fakes {
				if _, unanswered := got.Unanswered[name]; unanswered != (fake == nil) {
					t.Errorf("%s: unanswered %v", name, got.Unanswered)
				}
			}
		})
	}
}
