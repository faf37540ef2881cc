package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// The switch of the CA waits until pods have read the next one; what an older haplane has proved was long ago.
func TestTheSwitchWaitsForPods(t *testing.T) {
	s := keyed(t)
	l := rotates(t, s, opened(t).RotateRequest("ca"))
	if err := errors.Join(l.begin(), l.settle()); err != nil {
		t.Fatal(err)
	}
	if r := must[*store.Record](t)(s.Record()).Rotation; time.Since(r.ProvedAt) > time.Minute {
		t.Errorf("proved at %s", r.ProvedAt)
	}
	waits := func(at time.Time, change func(*Request)) bool {
		q := opened(t).RotateRequest("ca")
		change(&q)
		l := rotates(t, s, q)
		l.record.Rotation.ProvedAt = at
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it would ask the API who is there
		return l.blocked(ctx) != nil
	}
	for name, test := range map[string]struct {
		at     time.Time
		change func(*Request)
		want   bool
	}{
		"just now":         {time.Now(), func(*Request) {}, true},
		"with the flag":    {time.Now(), func(q *Request) { q.NoWaitForPods = true }, false},
		"five minutes ago": {time.Now().Add(-5 * time.Minute), func(*Request) {}, false},
		"nobody knows":     {time.Time{}, func(*Request) {}, false},
	} {
		if got := waits(test.at, test.change); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
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
