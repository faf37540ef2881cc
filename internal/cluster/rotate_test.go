package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
)

// keyed is an applied cluster with all its keys.
func keyed(t *testing.T) store.Store {
	t.Helper()
	s := applied(t, commented)
	h := opened(t)
	keys := pki.Bundle{}
	plan, _ := pki.Plan(h.env.rows, keys, time.Now(), false)
	keys = must[pki.Bundle](t)(pki.Issue(h.env.rows, keys, plan, time.Now(), rand.Reader))
	var names []string
	for _, r := range plan {
		names = append(names, r.Name)
	}
	hosts := must[[]store.Host](t)(s.Hosts(h.env.topology))
	for i := range hosts {
		hosts[i].Exists = false // yet
	}
	_, err := s.PrepareSSH(hosts)
	if err := errors.Join(err, s.SaveKeys(keys, names)); err != nil {
		t.Fatal(err)
	}
	return s
}

// rotates prepares a phase as newLive does.
func rotates(t *testing.T, s store.Store, q Request) *live {
	t.Helper()
	l := asked(t, s, q)
	l.change = &change.Change{}
	l.renew = l.renewed()
	if err := errors.Join(l.rotate(), l.planKeys()); err != nil {
		t.Fatal(err)
	}
	return l
}

// A rotation walks through its phases, each of them cut off once, and other changes meanwhile sign with whatever signs.
func TestRotationGoesOnWhereItWasCutOff(t *testing.T) {
	for _, name := range Rotatable() {
		t.Run(name, func(t *testing.T) {
			s, row := keyed(t), pki.Rotatable[name]
			old := must[pki.Bundle](t)(s.Keys(opened(t).env.rows)).Generation(row)
			var next pki.Pair
			for _, phase := range []pki.Phase{pki.Trust, pki.Switch, pki.Drop} {
				q := opened(t).RotateRequest(name)
				q.IgnoreOutside = phase == pki.Drop
				l := rotates(t, s, q)
				if step := l.step(); step == nil || step.Phase != phase || !step.Start {
					t.Fatalf("step %+v, want %s", step, phase)
				}
				if phase == pki.Trust {
					next = *l.next
				}
				if err := l.begin(); err != nil {
					t.Fatal(err)
				}
				again := rotates(t, s, opened(t).RotateRequest(name)) // cut off
				other := rotates(t, s, opened(t).Request())           // or by haplane apply
				for what, l := range map[string]*live{"again": again, "apply": other} {
					if step := l.step(); step == nil || step.Phase != phase || step.Start {
						t.Errorf("%s: step %+v, want what is left of %s", what, step, phase)
					}
					if l.proofs.IgnoreOutside != q.IgnoreOutside {
						t.Errorf("%s: clients from outside are left out in %s: %v", what, phase, l.proofs.IgnoreOutside)
					}
					want := next
					if phase == pki.Trust {
						want = old
					}
					if got := l.keys.Generation(row); string(got.Key) != string(want.Key) {
						t.Errorf("%s at %s: the wrong generation signs", what, phase)
					}
					if string(l.proofs.Old.Key) != string(old.Key) || string(l.proofs.Next.Key) != string(next.Key) {
						t.Errorf("%s at %s: it would prove something else", what, phase)
					}
				}
				if err := errors.Join((&journal{live: again}).Issue(), again.settle()); err != nil {
					t.Fatal(err)
				}
				between := rotates(t, s, opened(t).Request())
				if step := between.step(); step != nil {
					t.Errorf("another change after %s has a step %+v", phase, step)
				}
				if got := must[*store.Record](t)(s.Record()).Rotation; (got == nil) != (phase == pki.Drop) || got != nil && !got.Proved {
					t.Errorf("after %s the record has %+v", phase, got)
				}
			}
			if err := os.Remove(filepath.Join(s.Dir, "pki", "encryption.name")); err != nil && name == pki.RotateEncryption {
				t.Error(err)
			}
			if got := must[pki.Bundle](t)(s.Keys(opened(t).env.rows)).Generation(row); string(got.Key) != string(next.Key) || string(got.Cert) != string(next.Cert) {
				t.Error("after it the old one signs, or the name of what it encrypts is lost")
			}
		})
	}
}

// Killed when the old one was gone from the disk, and the record did not tell yet.
func TestRotationCutOffAtItsEnd(t *testing.T) {
	s := keyed(t)
	for range 2 {
		l := rotates(t, s, opened(t).RotateRequest("ca"))
		if err := errors.Join(l.begin(), l.settle()); err != nil {
			t.Fatal(err)
		}
	}
	l := rotates(t, s, opened(t).RotateRequest("ca"))
	if err := errors.Join(l.begin(), l.promote()); err != nil {
		t.Fatal(err)
	}
	again := rotates(t, s, opened(t).RotateRequest("ca"))
	if step := again.step(); step != nil {
		t.Errorf("step %+v: there is nothing left to prove", step)
	}
	if err := again.settle(); err != nil {
		t.Fatal(err)
	}
	if r := must[*store.Record](t)(s.Record()); r.Rotation != nil || r.Change != nil {
		t.Errorf("record %+v", r)
	}
}

// What the old authority vouches by is made when the switch begins, once, whatever is cut off after that; and it goes with the old one.
func TestTheOldAuthorityVouchesOnce(t *testing.T) {
	for _, name := range Rotatable() {
		s := keyed(t)
		phase := func() *live {
			l := rotates(t, s, opened(t).RotateRequest(name))
			if err := l.begin(); err != nil {
				t.Fatal(err)
			}
			return l
		}
		if err := phase().settle(); err != nil {
			t.Fatal(err)
		}
		trusted := must[*store.Record](t)(s.Record()).Rotation
		if trusted.Cross != nil || !trusted.TrustedAt().IsZero() {
			t.Errorf("%s: at trust there is %s, %s", name, trusted.Cross, trusted.TrustedAt())
		}
		l := phase()
		made := l.keys.Beside.Cross
		if (made != nil) != vouches(name) {
			t.Errorf("%s: it vouches by %s", name, made)
		}
		again := phase() // cut off
		noted := must[*store.Record](t)(s.Record()).Rotation
		if diff := cmp.Diff([][]byte{made, made}, [][]byte{again.keys.Beside.Cross, noted.Cross}); diff != "" {
			t.Errorf("%s: another one: %s", name, diff)
		}
		if !noted.Trusted.Equal(trusted.ProvedAt) || !again.proofs.Trusted.Equal(trusted.ProvedAt) || vouches(name) && string(again.proofs.Cross) != string(made) {
			t.Errorf("%s: trust was proved at %s, not %s or %s", name, trusted.ProvedAt, noted.Trusted, again.proofs.Trusted)
		}
		if err := errors.Join((&journal{live: again}).Issue(), again.settle()); err != nil {
			t.Fatal(err)
		}
		if l := phase(); l.keys.Beside != nil || !l.proofs.Trusted.Equal(trusted.ProvedAt) {
			t.Errorf("%s: at drop there is %v", name, l.keys.Beside)
		}
	}
}

// An old authority that cannot vouch locks out who trusts it alone, from the switch on: that is said before the rotation begins, and again before the
// switch, and has to be wanted.
func TestAnAuthorityThatCannotVouch(t *testing.T) {
	s := keyed(t)
	rows := opened(t).env.rows
	keys := must[pki.Bundle](t)(s.Keys(rows))
	old := must[*x509.Certificate](t)(pki.ParseCertificate(keys.Pairs[pki.CA].Cert))
	old.MaxPathLen, old.MaxPathLenZero = 0, true
	block, _ := pem.Decode(keys.Pairs[pki.CA].Key)
	key := must[*ecdsa.PrivateKey](t)(x509.ParseECPrivateKey(block.Bytes))
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, old, old, key.Public(), key))
	keys.Pairs[pki.CA] = pki.Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: keys.Pairs[pki.CA].Key}
	if err := s.SaveKeys(keys, []string{pki.CA}); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		var hinted *HintedError
		if !errors.As(err, &hinted) || !strings.Contains(err.Error(), "the old ca cannot vouch for the next one") || !strings.Contains(err.Error(), "kubeconfigs that have a token") ||
			!strings.Contains(err.Error(), "too many intermediates") || !strings.Contains(hinted.Hint, "--ignore-outside") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("at first", rotates(t, s, opened(t).RotateRequest("ca")).blocked(t.Context()))
	wanted := opened(t).RotateRequest("ca")
	wanted.IgnoreOutside = true
	l := rotates(t, s, wanted)
	if err := errors.Join(l.blocked(t.Context()), l.begin(), l.settle()); err != nil {
		t.Fatal(err)
	}
	again := asked(t, s, opened(t).RotateRequest("ca"))
	refused("at the switch", errors.Join(again.rotate(), again.planKeys()))
	wanted = opened(t).RotateRequest("ca")
	wanted.IgnoreOutside, wanted.NoWaitForPods = true, true
	l = rotates(t, s, wanted)
	if err := errors.Join(l.blocked(t.Context()), l.begin()); err != nil || l.keys.Beside.Cross != nil {
		t.Errorf("%v, it vouches by %s", err, l.keys.Beside.Cross)
	}
	if warned := strings.Join(l.rotationWarnings(), "\n"); !strings.Contains(warned, "does not vouch for the next one: this phase locks out who trusts the old one alone") {
		t.Errorf("warnings %q", warned)
	}
}

// Pods that may have read the old ca alone are asked for before the phase from which on nobody gets to the API by it.
func TestWhichPhaseWaitsForPods(t *testing.T) {
	s := keyed(t)
	for _, phase := range []pki.Phase{pki.Trust, pki.Switch, pki.Drop} {
		waits := func(change func(*live)) bool {
			l := rotates(t, s, opened(t).RotateRequest("ca"))
			change(l)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // it would ask the API who is there
			l.proofs.IgnoreOutside = true
			if l.rotation.Phase == pki.Drop {
				return l.unread(ctx) != nil
			}
			return l.blocked(ctx) != nil
		}
		for name, test := range map[string]struct {
			change func(*live)
			want   bool
		}{
			"as it is":                 {func(*live) {}, phase == pki.Drop},
			"nobody vouches":           {func(l *live) { l.rotation.Cross = nil }, phase != pki.Trust},
			"nobody vouches, accepted": {func(l *live) { l.rotation.Cross, l.NoWaitForPods = nil, true }, false},
		} {
			if got := waits(test.change); got != test.want {
				t.Errorf("%s, %s: %v", phase, name, got)
			}
		}
		l := rotates(t, s, opened(t).RotateRequest("ca"))
		if err := errors.Join(l.begin(), (&journal{live: l}).Issue(), l.settle()); err != nil {
			t.Fatal(err)
		}
		warned := strings.Join(l.rotationWarnings(), "\n")
		if told := strings.Contains(warned, "kubeconfigs that have a token and the old ca.crt end with this phase"); told != (phase == pki.Drop) {
			t.Errorf("%s: warnings %q", phase, warned)
		}
	}
}

// Client certificates that a change makes anew, a renewal or a phase, are haplane's own until it has ended.
func TestRetiredCertificatesAreNoted(t *testing.T) {
	s := keyed(t)
	rows := opened(t).env.rows
	sums := func() []string {
		keys := must[pki.Bundle](t)(s.Keys(rows))
		var out []string
		for _, row := range rows {
			if row.Usage == pki.ForClient && row.CA == pki.CA {
				out = append(out, pki.SHA256(keys.Pairs[row.Name].Cert))
			}
		}
		return out
	}
	retired := map[string]bool{}
	carry := func(q Request, anew bool) {
		t.Helper()
		before := sums()
		l := rotates(t, s, q)
		l.change.Steps = []change.Step{{ID: "issue-certificates"}}
		if err := l.begin(); err != nil {
			t.Fatal(err)
		}
		for _, sum := range before {
			at, is := must[*store.Record](t)(s.Record()).Retired[sum]
			if is != anew || !at.IsZero() {
				t.Errorf("begun: %s is retired: %v, at %s", sum, is, at)
			}
			if l.proofs != nil {
				if at, is := l.proofs.Retired[sum]; is != anew || !at.IsZero() {
					t.Errorf("for its proofs %s is retired: %v, at %s", sum, is, at)
				}
			}
			if anew {
				retired[sum] = true
			}
		}
		if err := errors.Join((&journal{live: l}).Issue(), l.settle()); err != nil {
			t.Fatal(err)
		}
		noted := must[*store.Record](t)(s.Record()).Retired
		for sum := range retired {
			if at := noted[sum]; time.Since(at) > time.Minute {
				t.Errorf("%s was retired at %s", sum, at)
			}
		}
		for _, sum := range sums() {
			if _, is := noted[sum]; is {
				t.Errorf("%s is in use", sum)
			}
		}
	}
	renew := opened(t).RotateRequest("ca")
	renew.Rotate, renew.Renew = "", map[string]string{}
	keys := must[pki.Bundle](t)(s.Keys(rows))
	for _, row := range rows {
		if row.CA != "" {
			renew.Renew[row.Name] = pki.Serial(keys, row.Name)
		}
	}
	carry(renew, true)
	carry(opened(t).RotateRequest("ca"), false)
	carry(opened(t).RotateRequest("ca"), true)
	if l := rotates(t, s, opened(t).RotateRequest("ca")); l.step().Phase != pki.Drop || len(l.proofs.Retired) < len(retired) {
		t.Errorf("the proofs of %s know of %d, not %d", l.step().Phase, len(l.proofs.Retired), len(retired))
	}
}

// There is a way back from the first phase, and from no other.
func TestRotationGoesBack(t *testing.T) {
	s := keyed(t)
	l := rotates(t, s, opened(t).RotateRequest("etcd-ca"))
	if err := l.begin(); err != nil {
		t.Fatal(err)
	}
	back := rotates(t, s, must[Request](t)(AbortRequest("demo")))
	if step := back.step(); step == nil || !step.Back || step.Name != "etcd-ca" || back.keys.Beside != nil {
		t.Errorf("step %+v, beside %v", back.step(), back.keys.Beside)
	}
	if back.proofs == nil || string(back.proofs.Next.Cert) != string(l.next.Cert) {
		t.Errorf("what goes is %+v", back.proofs)
	}
	if err := errors.Join(back.begin(), back.settle()); err != nil {
		t.Fatal(err)
	}
	if r := must[*store.Record](t)(s.Record()); r.Rotation != nil {
		t.Errorf("rotation %+v", r.Rotation)
	}
	for range 2 {
		l := rotates(t, s, opened(t).RotateRequest("etcd-ca"))
		if err := errors.Join(l.begin(), l.settle()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := AbortRequest("demo"); err == nil || !strings.Contains(err.Error(), "it goes on only") {
		t.Errorf("error %v", err)
	}
}

// What does not go together is said before anything is touched.
func TestRotationIsRefused(t *testing.T) {
	s := keyed(t)
	l := rotates(t, s, opened(t).RotateRequest("ca"))
	if err := errors.Join(l.begin(), l.settle()); err != nil {
		t.Fatal(err)
	}
	if err := asked(t, s, opened(t).RotateRequest("etcd-ca")).rotate(); err == nil || !strings.Contains(err.Error(), "the rotation of ca is under way, at trust") {
		t.Errorf("another one: %v", err)
	}
	if err := asked(t, s, opened(t).Request()).begin(); err != nil {
		t.Fatal(err)
	}
	if err := asked(t, s, opened(t).RotateRequest("ca")).rotate(); err == nil || !strings.Contains(err.Error(), "another change was cut off") {
		t.Errorf("after another change: %v", err)
	}
	s = keyed(t)
	q := opened(t).RotateRequest("encryption")
	q.Wanted.Spec.ExtraArgs = map[string]map[string]string{"kube-apiserver": {"encryption-provider-config": "/etc/mine.yaml"}}
	if err := asked(t, s, q).rotate(); err == nil || !strings.Contains(err.Error(), "spec.extraArgs.kube-apiserver.encryption-provider-config") {
		t.Errorf("with a file of the user's: %v", err)
	}
}

// A change that was cut off between two phases goes back by itself: the rotation stays where it is.
func TestAbortOfAnotherChangeLeavesARotation(t *testing.T) {
	for _, phases := range []int{1, 2} {
		s := keyed(t)
		for range phases {
			l := rotates(t, s, opened(t).RotateRequest("etcd-ca"))
			if err := errors.Join(l.begin(), l.settle()); err != nil {
				t.Fatal(err)
			}
		}
		want := must[*store.Record](t)(s.Record()).Rotation.Phase
		if err := rotates(t, s, opened(t).Request()).begin(); err != nil {
			t.Fatal(err)
		}
		back := rotates(t, s, must[Request](t)(AbortRequest("demo")))
		if err := errors.Join(back.begin(), back.settle()); err != nil {
			t.Fatal(err)
		}
		if r := must[*store.Record](t)(s.Record()).Rotation; r == nil || r.Phase != want || !r.Proved {
			t.Errorf("rotation %+v, want %s", r, want)
		}
	}
}

// A restore carries out no phase: what was proved is of the data that is gone, and no key is dropped.
func TestARestoreProvesNoPhase(t *testing.T) {
	s := keyed(t)
	for range 2 {
		l := rotates(t, s, opened(t).RotateRequest("encryption"))
		if err := errors.Join(l.begin(), l.settle()); err != nil {
			t.Fatal(err)
		}
	}
	q := opened(t).Request()
	q.Task = newTask(change.RestoreData)
	l := rotates(t, s, q)
	if err := errors.Join(l.begin(), l.settle()); err != nil {
		t.Fatal(err)
	}
	if r := must[*store.Record](t)(s.Record()).Rotation; r == nil || r.Phase != pki.Switch || r.Proved {
		t.Errorf("rotation %+v", r)
	}
	if keys := must[pki.Bundle](t)(s.Keys(l.rows)).EncryptionKeys(); len(keys) != 2 {
		t.Errorf("%d keys", len(keys))
	}
}
