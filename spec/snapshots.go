package spec

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// DefaultRetain is how many snapshots each machine keeps.
	DefaultRetain = 5
	// shortestSchedule is the least time between two snapshots: each is read, and restored once to verify it.
	shortestSchedule = 10 * time.Second
)

// Scheduled reports whether snapshots are taken on a schedule.
func (s EtcdSnapshots) Scheduled() bool { return s.Schedule != "" }

// A Schedule tells the first time after another, in UTC.
type Schedule struct{ cron cron.Schedule }

// Next is the first time after t, to the second.
func (s Schedule) Next(t time.Time) time.Time { return s.cron.Next(t.UTC()).UTC() }

// ParseSchedule reads five fields of cron(8), or a descriptor such as @daily or @every 6h. Times are UTC.
func ParseSchedule(text string) (Schedule, error) {
	if strings.Contains(text, "TZ=") {
		return Schedule{}, errors.New("has a time zone, and times are UTC: write it in UTC")
	}
	parsed, err := cron.ParseStandard("CRON_TZ=UTC " + text)
	if err != nil {
		return Schedule{}, fmt.Errorf(`must be five fields of cron such as "0 */6 * * *", or such as @daily or "@every 6h": %w`, err)
	}
	s := Schedule{parsed}
	first := s.Next(time.Unix(0, 0))
	switch next := s.Next(first); {
	case first.IsZero():
		return s, errors.New("is a time that never comes")
	case !next.IsZero() && next.Sub(first) < shortestSchedule:
		return s, fmt.Errorf("is more often than every %s: each snapshot is restored once to verify it", shortestSchedule)
	}
	return s, nil
}

func setSnapshotDefaults(s *EtcdSnapshots) {
	if s.Scheduled() && s.Retain == nil {
		s.Retain = new(DefaultRetain)
	}
}

func checkSnapshots(at *field.Path, s EtcdSnapshots) field.ErrorList {
	var errs field.ErrorList
	if !s.Scheduled() {
		if s.Retain != nil || len(s.Recipients) > 0 {
			errs = append(errs, field.Required(at.Child("schedule"), `when they are taken, such as "0 */6 * * *"; or leave out spec.etcd.snapshots`))
		}
	} else if _, err := ParseSchedule(s.Schedule); err != nil {
		errs = append(errs, field.Invalid(at.Child("schedule"), s.Schedule, err.Error()))
	}
	if s.Retain != nil && *s.Retain < 1 {
		errs = append(errs, field.Invalid(at.Child("retain"), *s.Retain, fmt.Sprintf("must be at least 1; leave the field out for its default, %d", DefaultRetain)))
	}
	var keys []age.Recipient
	for i, r := range s.Recipients {
		at := at.Child("recipients").Index(i)
		if strings.HasPrefix(strings.ToUpper(r), "AGE-SECRET-KEY-") { // shown to nobody
			errs = append(errs, field.Invalid(at, field.OmitValueType{}, "is a private key: write the public one (age1...), and keep this one where the cluster is not"))
		} else if key, err := age.ParseRecipients(strings.NewReader(r)); err != nil || !strings.HasPrefix(r, "age1") {
			errs = append(errs, field.Invalid(at, r, "must be a public key of age (age1...), as age-keygen prints it"))
		} else if slices.Contains(s.Recipients[:i], r) {
			errs = append(errs, field.Duplicate(at, r))
		} else {
			keys = append(keys, key...)
		}
	}
	if len(keys) > 1 && len(errs) == 0 {
		if _, err := age.Encrypt(io.Discard, keys...); err != nil {
			errs = append(errs, field.Invalid(at.Child("recipients"), field.OmitValueType{}, "do not go together: "+err.Error()))
		}
	}
	return errs
}
