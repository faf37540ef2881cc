package pki

import (
	"crypto/rand"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRenew(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	ended := map[string]string{APIServer: Serial(have, APIServer), Scheduler: "", Admin: "abc"}
	plan := Renew(have, []Reissue{{Name: Admin, Reason: "ended"}}, ended, rows())
	var names []string
	for _, r := range plan {
		names = append(names, r.Name)
	}
	// The scheduler's has another serial than was asked for: it was made anew since. The administrator's is planned already.
	if diff := cmp.Diff([]string{Admin, APIServer}, names); diff != "" {
		t.Fatal(diff)
	}
	made, err := Issue(rows(), have, plan, now, rand.Reader)
	if err != nil || plan[1].OldSerial != Serial(have, APIServer) || Serial(made, APIServer) == Serial(have, APIServer) || Serial(made, Scheduler) != Serial(have, Scheduler) {
		t.Errorf("%v, %+v", err, plan)
	}
	if again := Renew(made, nil, ended, rows()); len(again) > 0 {
		t.Errorf("done, and planned once more: %+v", again)
	}
}

func TestLeaves(t *testing.T) {
	all, err := Leaves(rows(), nil)
	if err != nil || slices.Contains(all, CA) || !slices.Contains(all, APIServer) || len(all) != len(rows())-3 {
		t.Errorf("%v, %v", all, err)
	}
	for name, test := range map[string]struct {
		given, want []string
		err         string
	}{
		"one":           {given: []string{APIServer}, want: []string{APIServer}},
		"twice":         {given: []string{APIServer, APIServer}, want: []string{APIServer}},
		"of one node":   {given: []string{EtcdPeer("cp-2")}, want: []string{EtcdPeer("cp-2")}},
		"of all nodes":  {given: []string{"etcd/peer"}, want: []string{EtcdPeer("cp-1"), EtcdPeer("cp-2"), EtcdPeer("cp-3")}},
		"an authority":  {given: []string{EtcdCA}, err: "etcd/ca is an authority"},
		"misspelt":      {given: []string{"apisrver"}, err: `there is no certificate "apisrver"; did you mean apiserver?`},
		"nothing alike": {given: []string{"x", "ca"}, err: `there is no certificate "x"; haplane certs list shows all` + "\nca is an authority"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Leaves(rows(), test.given)
			if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Fatalf("%v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForeign(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	other, _ := complete(t, rows(), Bundle{}, now)
	if got := Foreign(rows(), have); len(got) > 0 {
		t.Errorf("its own: %v", got)
	}
	have.Pairs[APIServer] = other.Pairs[APIServer]
	have.Pairs[Flannel] = Pair{}
	if diff := cmp.Diff([]string{APIServer}, Foreign(rows(), have)); diff != "" {
		t.Error(diff)
	}
}

// An authority that has ended is made anew under its name and with its key: what it has signed and has not ended is good again, and
// who has the key of before has no other.
func TestAuthoritiesThatHaveEnded(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	have.Pairs[CA] = must(t)(Next(have, rows(), CA, now, rand.Reader)) // it was rotated once
	later := now.Add(10*year + day)
	young, err := Issue(rows(), have, []Reissue{{Name: APIServer}}, later.Add(-year/2), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, row := range rows() {
		all = append(all, row.Name)
	}
	if diff := cmp.Diff(all, Ended(rows(), young, later)); diff != "" {
		t.Fatal(diff)
	}
	asked := map[string]string{}
	for _, name := range []string{CA, EtcdCA, FrontProxyCA, Scheduler} {
		asked[name] = Serial(young, name)
	}
	plan := Renew(young, nil, asked, rows())
	made, err := Issue(rows(), young, plan, later, rand.Reader)
	if err != nil || len(plan) != 4 || plan[0].Reason != endedKeeps {
		t.Fatalf("%v, %+v", err, plan)
	}
	for _, name := range []string{CA, EtcdCA, FrontProxyCA} {
		was, is := cert(t, young, name), cert(t, made, name)
		if string(made.Pairs[name].Key) != string(young.Pairs[name].Key) || is.Subject.String() != was.Subject.String() || string(is.SubjectKeyId) != string(was.SubjectKeyId) {
			t.Errorf("%s: subject %s, before %s; or another key", name, is.Subject, was.Subject)
		}
		if is.SerialNumber.Cmp(was.SerialNumber) == 0 || is.NotAfter.Sub(later) != 10*year || !is.IsCA {
			t.Errorf("%s: serial %x, until %s", name, is.SerialNumber, is.NotAfter)
		}
	}
	if name := cert(t, made, CA).Subject.CommonName; name != "kubernetes-2" {
		t.Errorf("the CA is %s", name)
	}
	for bundle, verifies := range map[string]bool{string(made.Pairs[CA].Cert): true, string(young.Pairs[CA].Cert): false} {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(bundle))
		if _, err := cert(t, young, APIServer).Verify(x509.VerifyOptions{Roots: roots, CurrentTime: later}); (err == nil) != verifies {
			t.Errorf("what was signed before: %v", err)
		}
	}
	if _, lost := Plan(rows(), made, later, true); len(lost) > 0 {
		t.Errorf("lost: %v", lost)
	}
	if again := Renew(made, nil, asked, rows()); len(again) > 0 {
		t.Errorf("done, and planned once more: %+v", again)
	}
}

// Whose key is not here, and who has not ended, is none of these.
func TestAuthoritiesThatStay(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	if got := Ended(rows(), have, now.Add(10*year-day)); len(got) > 0 {
		t.Errorf("a day before: %v", got)
	}
	later := now.Add(10*year + day)
	have.Pairs[CA] = Pair{Cert: have.Pairs[CA].Cert}
	have.Pairs[EtcdCA] = Pair{Cert: have.Pairs[EtcdCA].Cert, Key: have.Pairs[FrontProxyCA].Key}
	if diff := cmp.Diff([]string{FrontProxyCA, FrontProxyClient}, Ended(rows(), have, later)); diff != "" {
		t.Error(diff)
	}
	external := rows()
	for i := range external {
		external[i].External = external[i].Name == FrontProxyCA
	}
	if got := Ended(external, have, later); len(got) > 0 {
		t.Errorf("its key is declared to be elsewhere: %v", got)
	}
}

func must(t *testing.T) func(Pair, error) Pair {
	return func(p Pair, err error) Pair {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}
