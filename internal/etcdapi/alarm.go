package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/prototext"
)

// An Alarm is raised by one member and known to all. NOSPACE stops writes until
// somebody makes room and disarms it.
type Alarm struct {
	Member uint64 `json:"member"` // who raised it
	Kind   string `json:"kind"`   // NOSPACE or CORRUPT
}

// alarmsIn finds the alarms among the errors of a status, where etcd writes them as
// protobuf text. To list them by their own request would put an entry into the log,
// which needs a quorum, and this works without one.
func alarmsIn(problems []string) []Alarm {
	var alarms []Alarm
	for _, problem := range problems {
		var alarm pb.AlarmMember
		if prototext.Unmarshal([]byte(problem), &alarm) == nil && alarm.Alarm != pb.AlarmType_NONE {
			alarms = append(alarms, Alarm{Member: alarm.MemberID, Kind: alarm.Alarm.String()})
		}
	}
	return alarms
}
