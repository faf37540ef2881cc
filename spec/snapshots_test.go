package spec

import (
	"strings"
	"testing"
	"time"
)

func TestScheduleIsCronInUTC(t *testing.T) {
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for text, want := range map[string]string{
		"0 */6 * * *": "2026-11-28T18:00:00Z", "30 2 * * sun": "2026-11-29T02:30:00Z", "@daily": "2026-11-29T00:00:00Z", "@every 90m": "2026-11-28T14:45:07Z",
	} {
		s, err := ParseSchedule(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := s.Next(at("2026-11-28T14:15:07+01:00")); !got.Equal(at(want)) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestSnapshotsAreChecked(t *testing.T) {
	const key = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"
	snapshots := func(fields string) string { return head + "spec: {etcd: {snapshots: {" + fields + "}}}\n" }
	for name, test := range map[string]struct{ fields, want string }{
		"six fields":    {`schedule: "0 0 * * * *"`, "spec.etcd.snapshots.schedule"},
		"no schedule":   {`schedule: often`, "five fields of cron"},
		"out of range":  {`schedule: "0 25 * * *"`, "five fields of cron"},
		"never":         {`schedule: "0 0 31 2 *"`, "never comes"},
		"too often":     {`schedule: "@every 1s"`, "more often than every 10s"},
		"time zone":     {`schedule: "CRON_TZ=Europe/Berlin 0 0 * * *"`, "times are UTC"},
		"broken zone":   {`schedule: "TZ=x"`, "times are UTC"},
		"retain alone":  {`retain: 3`, "spec.etcd.snapshots.schedule: Required value: when they are taken"},
		"keys alone":    {`recipients: [` + key + `]`, "spec.etcd.snapshots.schedule: Required value"},
		"retain none":   {`schedule: "@daily", retain: 0`, "spec.etcd.snapshots.retain: Invalid value: 0: must be at least 1"},
		"no key":        {`schedule: "@daily", recipients: [ssh-ed25519 AAAA]`, "spec.etcd.snapshots.recipients[0]"},
		"key twice":     {`schedule: "@daily", recipients: [` + key + `, ` + key + `]`, "recipients[1]: Duplicate value"},
		"no list":       {`schedule: "@daily", recipients: ` + key, "write [age1...]"},
		"unknown field": {`schedule: "@daily", keep: 3`, "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("f.yaml", []byte(snapshots(test.fields))); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	private := "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQSXQ2T9"
	if _, err := Parse("f.yaml", []byte(snapshots(`schedule: "@daily", recipients: [`+private+`]`))); err == nil || strings.Contains(err.Error(), private) || !strings.Contains(err.Error(), "private key") {
		t.Errorf("a private key: %v", err)
	}
	c, err := Parse("f.yaml", []byte(snapshots(`schedule: "@daily", recipients: [`+key+`]`)))
	if err != nil || *c.Spec.Etcd.Snapshots.Retain != DefaultRetain {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := Parse("f.yaml", []byte(head)); err != nil || c.Spec.Etcd.Snapshots.Scheduled() || c.Spec.Etcd.Snapshots.Retain != nil {
		t.Errorf("without: %v", err)
	}
}
