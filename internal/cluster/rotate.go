package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
)

// A rotating is the part of a change that is a phase of a rotation.
type rotating struct {
	rotation *store.Rotation // as it is from the begin of the change on; nil: there is none
	next     *pki.Pair       // the next generation, of a rotation that begins
	starts   bool            // a phase is begun by this change
	proofs   *apply.Rotation // what its steps are about; nil where the phase is carried out
	retired  []string        // client certificates that the change makes anew, by their SHA-256
}

// RotateRequest asks for the next phase of a rotation, or for what is left of one that was cut off.
func (h *Handle) RotateRequest(name string) Request {
	q := h.Request()
	q.Rotate = name
	return q
}

// rotate finds out which phase of a rotation the change is to have, and with which keys that is.
func (l *live) rotate() error {
	now := l.record.Rotation
	if err := l.mayRotate(now); err != nil {
		return err
	}
	switch {
	case l.Abort && now != nil && (!now.Proved || l.record.Change == nil): // nobody has used the next one
	case l.Rotate == "" && now == nil:
		return nil
	case now == nil:
		l.rotation, l.starts = &store.Rotation{Name: l.Rotate, Phase: pki.Trust, Began: time.Now().UTC()}, true
	case now.Phase == pki.Drop:
		r := *now
		done, err := l.Store.Promoted(now.Name)
		if err != nil {
			return err
		}
		r.Proved = done // cut off right before the record was to tell
		l.rotation = &r
	case l.Rotate == "" || !now.Proved:
		l.rotation = now
	default:
		r := *now
		r.Phase, r.Proved, r.ProvedAt = map[pki.Phase]pki.Phase{pki.Trust: pki.Switch, pki.Switch: pki.Drop}[now.Phase], false, time.Time{}
		r.IgnoreOutside = l.IgnoreOutside
		if r.Phase == pki.Switch {
			r.Trusted = now.ProvedAt
		}
		l.rotation, l.starts = &r, true
	}
	if r := l.rotation; r != nil && !l.Abort && slices.Contains(l.Wanted.Spec.Certificates.ExternalCA, r.Name) {
		return withHint(fmt.Errorf("spec.certificates.externalCA: %s is being rotated, at %s: its key is needed here until that has ended", r.Name, r.Phase),
			"leave it out until haplane certs rotate "+r.Name+" has ended")
	}
	l.keysOf, l.drops = l.keysDuring, l.rotation != nil && l.rotation.Phase == pki.Drop
	return nil
}

// mayRotate says what keeps a rotation from going on.
func (l *live) mayRotate(now *store.Rotation) error {
	switch {
	case l.Rotate == "":
		return nil
	case now != nil && now.Name != l.Rotate:
		return withHint(fmt.Errorf("the rotation of %s is under way, at %s: only one goes on at a time", now.Name, now.Phase),
			fmt.Sprintf("haplane certs rotate %s --cluster %s goes on with it", now.Name, l.topology.Name))
	case (now == nil || now.Proved) && l.record.Change != nil:
		return refuseBeside(l.record, "certs rotate "+l.Rotate)
	}
	if slices.Contains(l.Wanted.Spec.Certificates.ExternalCA, l.Rotate) {
		return fmt.Errorf("spec.certificates.externalCA: the key of %s is elsewhere, and haplane would make the next one here: it cannot be rotated", l.Rotate)
	}
	for _, flag := range rotatedFlags[l.Rotate] {
		for program, extra := range l.Wanted.Spec.ExtraArgs {
			if _, ok := extra[flag]; ok {
				return fmt.Errorf("spec.extraArgs.%s.%s: the cluster file has its own value there, by which haplane can neither rotate %s nor prove who uses the old one", program, flag, l.Rotate)
			}
		}
	}
	return nil
}

// rotatedFlags name the files of what is rotated: with others in their place haplane would prove nothing.
var rotatedFlags = map[string][]string{
	pki.RotateCA:           {"client-ca-file", "kubelet-certificate-authority", "cluster-signing-cert-file", "cluster-signing-key-file", "root-ca-file", "tls-cert-file", "peer-ca-file", "audit-log-path", "audit-log-format", "audit-policy-file"},
	pki.RotateEtcdCA:       {"etcd-cafile", "etcd-certfile", "etcd-keyfile", "trusted-ca-file", "peer-trusted-ca-file", "cert-file", "peer-cert-file"},
	pki.RotateFrontProxyCA: {"requestheader-client-ca-file", "proxy-client-cert-file", "proxy-client-key-file"},
	pki.RotateServiceAccount: {"service-account-key-file", "service-account-signing-key-file", "service-account-private-key-file",
		"service-account-extend-token-expiration", "audit-log-path", "audit-log-format", "audit-policy-file"},
	pki.RotateEncryption: {"encryption-provider-config"},
}

// keysDuring reads the keys as they are in the phase that the change leads to. The next generation of a rotation
// that begins is made in memory.
func (l *live) keysDuring(rows []pki.Row) (pki.Bundle, error) {
	before, err := l.Store.KeysDuring(rows, nil)
	if err != nil || l.rotation == nil {
		return before, errors.Join(err, l.goesBack(rows, before))
	}
	row, during := pki.Rotatable[l.rotation.Name], pki.Bundle{}
	if l.rotation.Phase == pki.Trust && l.starts {
		if l.next == nil {
			next, err := pki.Next(before, rows, row, time.Now(), rand.Reader)
			if err != nil {
				return before, err
			}
			l.next = &next
		}
		during = before.During(pki.Trust, row, *l.next)
	} else {
		if err := l.vouch(rows, row); err != nil {
			return before, err
		}
		if during, err = l.Store.KeysDuring(rows, l.rotation); err != nil {
			return before, err
		}
	}
	if !l.rotation.Proved {
		l.proofs = &apply.Rotation{Name: l.rotation.Name, Old: before.Generation(row), Next: during.Generation(row), Switched: l.rotation.Switched, Until: l.rotation.Until,
			Trusted: l.rotation.TrustedAt(), Cross: l.rotation.Cross, Told: maps.Clone(l.rotation.Told), Gone: l.rotation.Gone, IgnoreOutside: l.IgnoreOutside || l.rotation.IgnoreOutside}
		if l.rotation.Phase == pki.Trust {
			l.proofs.Next = during.Beside.Pair
		}
	}
	return during, nil
}

// vouch has the old authority vouch for the next one where the switch begins: made once, and kept in the record.
func (l *live) vouch(rows []pki.Row, row string) error {
	if l.rotation.Phase != pki.Switch || !l.starts || l.rotation.Cross != nil || !vouches(l.rotation.Name) {
		return nil
	}
	now, err := l.Store.KeysDuring(rows, l.record.Rotation)
	if err != nil {
		return err
	}
	l.rotation.Cross, err = l.cross(now.Generation(row), now.Beside.Pair)
	return err
}

// vouches reports whether servers show certificates of an authority to others than our own programs.
func vouches(name string) bool { return name == pki.RotateCA || name == pki.RotateEtcdCA }

// cross is what the old authority vouches by. Where it cannot, those who trust it alone are locked out by the switch, which has to be wanted.
func (l *live) cross(old, next pki.Pair) ([]byte, error) {
	cross, err := pki.Cross(old, next, time.Now(), rand.Reader)
	switch {
	case err == nil:
		return cross, nil
	case l.IgnoreOutside:
		return nil, nil
	}
	return nil, withHint(fmt.Errorf("the old %s cannot vouch for the next one, so that nobody who trusts it alone verifies servers from the switch on, which locks out %s: %w", l.rotation.Name, lockedOut[l.rotation.Name], err),
		"--ignore-outside accepts that. When the phase trust has ended, what haplane kubeconfig writes and ca.crt of kube-root-ca.crt have both; where the next plan is not agreed to at once, there is time to hand these on")
}

// lockedOut are those who may trust an old authority alone.
var lockedOut = map[string]string{
	pki.RotateCA:     "copies of kubeconfigs of before, kubeconfigs that have a token and the old ca.crt, and programs in pods until they have read the next one",
	pki.RotateEtcdCA: "clients of etcd from outside of the cluster",
}

// goesBack finds what was published of a next generation that the change goes back from.
func (l *live) goesBack(rows []pki.Row, before pki.Bundle) error {
	now := l.record.Rotation
	if now == nil {
		return nil
	}
	during, err := l.Store.KeysDuring(rows, now)
	if err == nil && during.Beside != nil {
		l.proofs = &apply.Rotation{Name: now.Name, Old: before.Generation(pki.Rotatable[now.Name]), Next: during.Beside.Pair}
	}
	return err
}

// rotates reports whether the change has to do with a rotation.
func (l *live) rotates() bool { return l.rotation != nil || l.record.Rotation != nil }

// step is the phase for the planner; nil where none is to be carried out.
func (l *live) step() *change.Rotation {
	if l.rotation == nil && l.Abort && l.record.Rotation != nil {
		return &change.Rotation{Name: l.record.Rotation.Name, Back: true}
	}
	if l.rotation == nil || l.rotation.Proved {
		return nil
	}
	return &change.Rotation{Name: l.rotation.Name, Phase: l.rotation.Phase, Start: l.starts}
}

// blocked is an error where a phase cannot begin yet: nothing is begun then.
func (l *live) blocked(ctx context.Context) error {
	if l.rotation == nil || !l.starts {
		return nil
	}
	switch {
	case l.rotation.Phase == pki.Trust && vouches(l.rotation.Name):
		_, err := l.cross(l.proofs.Old, l.proofs.Next)
		return err
	case l.rotation.Phase == pki.Drop:
		return together(l.unread(ctx), l.needed(ctx))
	case l.rotation.Phase == pki.Switch && l.rotation.Cross == nil:
		return l.unread(ctx)
	}
	return nil
}

// unread is an error where programs in pods may trust the old authority alone, in the phase from which on nobody gets to the API by it.
func (l *live) unread(ctx context.Context) error {
	if l.rotation.Name != pki.RotateCA || l.NoWaitForPods {
		return nil
	}
	err := l.runner().Unread(ctx, l.proofs.Trusted)
	var blocked *apply.BlockedError
	if !errors.As(err, &blocked) {
		return err
	}
	return withHint(fmt.Errorf("programs of client-go older than v1.36, and others, read the authority that they trust only when they start:\n%w", err),
		"kubectl --namespace NAMESPACE rollout restart deployment,statefulset,daemonset starts those of a namespace anew; where all read it again, or do not ask the API, --no-wait-for-pods goes on")
}

// needed is an error where the old generation is in use.
func (l *live) needed(ctx context.Context) error {
	err := l.runner().Unused(ctx)
	var blocked *apply.BlockedError
	if !errors.As(err, &blocked) {
		return err
	}
	hint := fmt.Sprintf("haplane certs rotate %s --cluster %s drops it when that is gone", l.rotation.Name, l.topology.Name)
	if blocked.Outside {
		hint += "; with --ignore-outside at once, and who has not moved is locked out"
	}
	return withHint(fmt.Errorf("the old %s is needed still:\n%w", l.rotation.Name, err), hint)
}

// saveNext keeps the next generation before the record tells of it.
func (l *live) saveNext() error {
	if l.next == nil {
		return nil
	}
	return l.Store.SaveNext(l.rotation.Name, *l.next)
}

// noteRotation writes down the phase that begins.
func (l *live) noteRotation(r *store.Record) {
	if l.rotation != nil && l.starts {
		r.Rotation = l.rotation
	}
}

// retire finds the client certificates that the change makes anew: until it has ended, those of before are haplane's own.
func (l *live) retire() error {
	there, err := l.Store.KeysDuring(l.rows, nil)
	if err != nil {
		return err
	}
	l.retired = nil
	for _, row := range l.rows {
		anew := slices.ContainsFunc(l.issues, func(r pki.Reissue) bool { return r.Name == row.Name })
		if sum := pki.SHA256(there.Pairs[row.Name].Cert); anew && row.Usage == pki.ForClient && sum != "" {
			l.retired = append(l.retired, sum)
		}
	}
	if l.proofs != nil {
		l.proofs.Retired = store.Retiring(l.record.Retired, l.retired)
	}
	return nil
}

// promote puts the next generation in the place of the old one where that is dropped.
func (l *live) promote() error {
	if l.rotation == nil || l.rotation.Phase != pki.Drop {
		return nil
	}
	return l.Store.Promote(l.rotation.Name)
}

// forgetNext removes the next generation where the change has gone back from it, once no record tells of it.
func (l *live) forgetNext() error {
	if l.rotation != nil || l.record.Rotation == nil {
		return nil
	}
	return l.Store.ForgetNext(l.record.Rotation.Name)
}

// unprove has a phase proved again after a restore: bundles, tokens and Secrets are those of the snapshot.
func (l *live) unprove(r *store.Record) {
	if r.Rotation != nil && !l.Abort {
		r.Rotation.Proved, r.Rotation.ProvedAt = false, time.Time{}
	}
}

// settleRotation writes down that the phase was carried out and proved.
func (l *live) settleRotation(r *store.Record) {
	switch {
	case r.Rotation == nil:
	case l.rotation == nil, l.rotation.Phase == pki.Drop:
		if l.rotation != nil && l.rotation.Name == pki.RotateEncryption {
			r.EncryptionName = l.keys.EncryptionName
		}
		r.Rotation = nil
	default:
		if !r.Rotation.Proved {
			r.Rotation.Proved, r.Rotation.ProvedAt = true, time.Now().UTC()
		}
		if l.proofs != nil {
			r.Rotation.Told = l.proofs.Told
		}
		if l.proofs != nil && l.rotation.Phase == pki.Switch {
			r.Rotation.Switched, r.Rotation.Until = l.proofs.Switched, l.proofs.Until
			if r.Rotation.Switched.IsZero() {
				r.Rotation.Switched = time.Now().UTC()
			}
		}
	}
}

// rotationWarnings say what a phase does to those of whom nobody can tell.
func (l *live) rotationWarnings() []string {
	r := l.rotation
	if r == nil || r.Proved || !vouches(r.Name) {
		return nil
	}
	var out []string
	if r.Phase == pki.Switch && r.Cross == nil {
		out = append(out, fmt.Sprintf("the old %s does not vouch for the next one: this phase locks out who trusts the old one alone, as %s", r.Name, lockedOut[r.Name]))
	}
	if r.Phase == pki.Drop && r.Name == pki.RotateCA {
		out = append(out, "kubeconfigs that have a token and the old ca.crt end with this phase, as all copies of before do: by what a client verifies no log tells, so that nobody can name them")
	}
	if l.proofs != nil {
		out = append(out, l.proofs.Unseen...)
	}
	return out
}

// abortable says why there is no way back from a rotation.
func abortable(r *store.Rotation) error {
	if r == nil || r.Phase == pki.Trust {
		return nil
	}
	return withHint(fmt.Errorf("the rotation of %s is at %s: what the next one has signed or written is in use, so it goes on only", r.Name, r.Phase),
		"haplane certs rotate "+r.Name+" goes on with it")
}

// Rotatable are the names of what can be rotated.
func Rotatable() []string {
	return []string{pki.RotateCA, pki.RotateEtcdCA, pki.RotateFrontProxyCA, pki.RotateServiceAccount, pki.RotateEncryption}
}

// A RotationStatus is a rotation that has not ended.
type RotationStatus struct {
	Name   string    `json:"name"`   // ca, etcd-ca, front-proxy-ca, service-account or encryption
	Phase  string    `json:"phase"`  // trust, switch or drop
	Proved bool      `json:"proved"` // the phase has been carried out, and was seen everywhere; the next one has not begun
	Began  time.Time `json:"began"`
	// ProvedAt is when it was seen.
	ProvedAt time.Time `json:"provedAt,omitempty,omitzero"`
	// NeededUntil is when the last token ends that the old key of service accounts has signed, as far as was seen.
	NeededUntil time.Time `json:"neededUntil,omitempty,omitzero"`
}

// Rotation is the one that is under way; nil where there is none, or it cannot be read.
func (h *Handle) Rotation() *RotationStatus {
	r, err := h.env.Store.Record()
	if err != nil {
		return nil
	}
	return rotationStatus(r.Rotation)
}

func rotationStatus(r *store.Rotation) *RotationStatus {
	if r == nil {
		return nil
	}
	return &RotationStatus{Name: r.Name, Phase: string(r.Phase), Proved: r.Proved, Began: r.Began, ProvedAt: r.ProvedAt, NeededUntil: r.Until}
}

// String says how far it is, and how it goes on.
func (r *RotationStatus) String() string {
	state := "the phase " + r.Phase + " is under way or was cut off"
	if r.Proved {
		state = "the phase " + r.Phase + " is carried out and proved"
	}
	if !r.NeededUntil.IsZero() {
		state += ", and the old key is needed until " + r.NeededUntil.UTC().Format("2006-01-02 15:04:05 MST")
	}
	return fmt.Sprintf("the rotation of %s has not ended: %s; haplane certs rotate %[1]s goes on with it", r.Name, state)
}

// NeededUntil tells of an error that is about what the old generation is needed for: until when; zero where that
// does not end by itself.
func NeededUntil(err error) (until time.Time, is bool) {
	var blocked *apply.BlockedError
	if !errors.As(err, &blocked) {
		return time.Time{}, false
	}
	return blocked.Until, true
}
