package pki

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const day = 24 * time.Hour

// Of a cluster that exists, what others depend on is never made anew.
func TestLostOnAnExistingCluster(t *testing.T) {
	other, _ := complete(t, rows(), Bundle{}, now)
	lose := func(name string, cert, key []byte) func(*Bundle) {
		return func(b *Bundle) { b.Pairs[name] = Pair{Cert: cert, Key: key} }
	}
	tests := map[string]struct {
		spoil func(*Bundle)
		want  []Lost
	}{
		"ca": {func(b *Bundle) { delete(b.Pairs, CA) }, []Lost{{File: "ca.crt", Reason: "missing"}, {File: "ca.key", Reason: "missing"}}},
		"ca key missing": {func(b *Bundle) { b.Pairs[CA] = Pair{Cert: b.Pairs[CA].Cert} },
			[]Lost{{File: "ca.key", Reason: "missing"}}},
		"ca certificate missing": {func(b *Bundle) { b.Pairs[CA] = Pair{Key: b.Pairs[CA].Key} },
			[]Lost{{File: "ca.crt", Reason: "missing"}}},
		"ca garbage": {lose(CA, []byte("x"), []byte("y")),
			[]Lost{{File: "ca.crt", Reason: "certificate is not PEM"}, {File: "ca.key", Reason: "private key is not PEM"}}},
		"ca another's key": {func(b *Bundle) { b.Pairs[CA] = Pair{b.Pairs[CA].Cert, other.Pairs[CA].Key} },
			[]Lost{{File: "ca.key", Reason: "it does not belong to ca.crt"}}},
		"ca is none": {func(b *Bundle) { b.Pairs[CA] = b.Pairs[Admin] },
			[]Lost{{File: "ca.crt", Reason: "it is not the certificate of an authority"}}},
		"etcd ca": {lose(EtcdCA, nil, nil), []Lost{{File: "etcd/ca.crt", Reason: "missing"}, {File: "etcd/ca.key", Reason: "missing"}}},
		"front proxy ca key": {func(b *Bundle) { b.Pairs[FrontProxyCA] = Pair{Cert: b.Pairs[FrontProxyCA].Cert} },
			[]Lost{{File: "front-proxy-ca.key", Reason: "missing"}}},
		"sa key":             {func(b *Bundle) { b.ServiceAccountKey = nil }, []Lost{{File: "sa.key", Reason: "missing"}}},
		"sa key garbage":     {func(b *Bundle) { b.ServiceAccountKey = []byte("x") }, []Lost{{File: "sa.key", Reason: "private key is not PEM"}}},
		"encryption":         {func(b *Bundle) { b.EncryptionKey = nil }, []Lost{{File: "encryption.key", Reason: "missing"}}},
		"encryption garbage": {func(b *Bundle) { b.EncryptionKey = []byte("xyz") }, []Lost{{File: "encryption.key", Reason: "it has 3 bytes, not 32"}}},
		"everything": {func(b *Bundle) { *b = Bundle{} }, []Lost{{File: "ca.crt", Reason: "missing"}, {File: "ca.key", Reason: "missing"},
			{File: "etcd/ca.crt", Reason: "missing"}, {File: "etcd/ca.key", Reason: "missing"}, {File: "front-proxy-ca.crt", Reason: "missing"},
			{File: "front-proxy-ca.key", Reason: "missing"}, {File: "sa.key", Reason: "missing"}, {File: "encryption.key", Reason: "missing"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := complete(t, rows(), Bundle{}, now)
			test.spoil(&b)
			plan, lost := Plan(rows(), b, now, true)
			if diff := cmp.Diff(test.want, lost); diff != "" {
				t.Error(diff)
			}
			if len(plan) > 0 { // not even the certificates that a lost authority signed
				t.Errorf("would make %v", plan)
			}
		})
	}
}

// A leaf can be made again as long as its authority is there; so can a public key.
func TestLeavesOfAnExistingCluster(t *testing.T) {
	other, _ := complete(t, rows(), Bundle{}, now)
	tests := map[string]struct {
		spoil        func(*Bundle)
		want, reason string
	}{
		"missing":            {func(b *Bundle) { delete(b.Pairs, Scheduler) }, Scheduler, "there is none"},
		"without its key":    {func(b *Bundle) { b.Pairs[Admin] = Pair{Cert: b.Pairs[Admin].Cert} }, Admin, "its key is missing"},
		"only its key":       {func(b *Bundle) { b.Pairs[Admin] = Pair{Key: b.Pairs[Admin].Key} }, Admin, "its certificate is missing"},
		"garbage":            {func(b *Bundle) { b.Pairs[Admin] = Pair{[]byte("x"), []byte("y")} }, Admin, "certificate is not PEM"},
		"of another cluster": {func(b *Bundle) { b.Pairs[APIServer] = other.Pairs[APIServer] }, APIServer, "x509"},
		"public key":         {func(b *Bundle) { b.ServiceAccountPub = nil }, ServiceAccount, "the key stays"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := complete(t, rows(), Bundle{}, now)
			whole := b
			b.Pairs = map[string]Pair{}
			for name, pair := range whole.Pairs {
				b.Pairs[name] = pair
			}
			test.spoil(&b)
			plan, lost := Plan(rows(), b, now, true)
			if len(lost) > 0 || len(plan) != 1 || plan[0].Name != test.want || !strings.Contains(plan[0].Reason, test.reason) {
				t.Fatalf("plan %+v, lost %v", plan, lost)
			}
			after, err := Issue(rows(), b, plan, now, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(after.ServiceAccountKey, whole.ServiceAccountKey) || !bytes.Equal(after.ServiceAccountPub, whole.ServiceAccountPub) {
				t.Error("the service account key changed")
			}
			for row, pair := range whole.Pairs {
				if changed := !cmp.Equal(after.Pairs[row], pair); changed != (row == test.want) {
					t.Errorf("%s changed: %v", row, changed)
				}
			}
		})
	}
}

func TestRenewalWindow(t *testing.T) {
	b, _ := complete(t, rows(), Bundle{}, now)
	third := (year + backdate) / 3
	tests := map[string]struct {
		at     time.Time
		reason string // of the leaves; empty where none is renewed
	}{
		"new":                      {now, ""},
		"half a year":              {now.Add(year / 2), ""},
		"a second before a third":  {now.Add(year - third - time.Second), ""},
		"a third left":             {now.Add(year - third), "ends in 121 days, a third of its life or less left"},
		"26 days left":             {now.Add(year - 26*day), "ends in 26 days, a third of its life or less left"},
		"a day and a second left":  {now.Add(year - day - time.Second), "ends in 1 day, a third of its life or less left"},
		"a second less than a day": {now.Add(year - day + time.Second), "ends within a day, a third of its life or less left"},
		"the day after":            {now.Add(year + day), "ended on 2027-11-23"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plan, lost := Plan(rows(), b, test.at, true)
			if len(lost) > 0 {
				t.Fatalf("lost %v", lost)
			}
			if want := len(rows()) - 3; test.reason == "" && len(plan) > 0 || test.reason != "" && len(plan) != want {
				t.Fatalf("would make %v", names(plan))
			}
			for _, r := range plan {
				c := cert(t, b, r.Name)
				if r.Reason != test.reason || r.OldSerial != c.SerialNumber.Text(16) || !r.NotAfter.Equal(c.NotAfter) {
					t.Errorf("%+v, want %q", r, test.reason)
				}
			}
		})
	}
}

// An authority is not renewed, whatever little of its life is left.
func TestAuthoritiesAreNotRenewed(t *testing.T) {
	b, _ := complete(t, rows(), Bundle{}, now)
	plan, lost := Plan(rows(), b, now.Add(10*year-day), true)
	if slices.ContainsFunc(plan, func(r Reissue) bool { return r.Name == CA || r.Name == EtcdCA }) || len(lost) > 0 {
		t.Errorf("a day before: would make %v, lost %v", names(plan), lost)
	}
	plan, lost = Plan(rows(), b, now.Add(10*year+day), true)
	want := []Lost{{File: "ca.crt", Reason: "it ended on 2036-11-20", Ended: true}, {File: "etcd/ca.crt", Reason: "it ended on 2036-11-20", Ended: true}, {File: "front-proxy-ca.crt", Reason: "it ended on 2036-11-20", Ended: true}}
	if diff := cmp.Diff(want, lost); diff != "" || len(plan) > 0 {
		t.Error(diff, plan)
	}
}

func TestExpiring(t *testing.T) {
	b, _ := complete(t, rows(), Bundle{}, now)
	b.Pairs[Admin] = Pair{Cert: []byte("x")}
	tests := map[string]struct {
		at    time.Time
		count int
		first Expiry
		when  string
	}{
		"61 days":     {now.Add(year - 61*day), 0, Expiry{}, ""},
		"60 days":     {now.Add(year - 60*day), len(rows()) - 4, Expiry{APIServer, false, now.Add(year)}, "ends in 60 days, on 2027-11-23"},
		"ended":       {now.Add(year + time.Second), len(rows()) - 4, Expiry{APIServer, false, now.Add(year)}, "ended on 2027-11-23"},
		"authorities": {now.Add(10*year - 60*day), len(rows()) - 1, Expiry{CA, true, now.Add(10 * year)}, "ends in 60 days, on 2036-11-20"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Expiring(rows(), b, test.at, 60*day)
			if len(got) != test.count {
				t.Fatalf("%d: %v", len(got), got)
			}
			if test.count > 0 && (!cmp.Equal(got[0], test.first) || got[0].When(test.at) != test.when) {
				t.Errorf("%+v %s", got[0], got[0].When(test.at))
			}
		})
	}
}
