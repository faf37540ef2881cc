package apply

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// eachAPIServer asks every API server by itself.
func (r *Runner) eachAPIServer(ask func(topology.Node) error) error {
	return each(r.Cluster.Topology.ControlPlane(), func(n topology.Node) []string {
		if err := ask(n); err != nil {
			return []string{fmt.Sprintf("%s: %v", n.Name, err)}
		}
		return nil
	})
}

// keyServed wants each API server to verify tokens by just the keys that are wanted.
func keyServed(ctx context.Context, r *Runner) error {
	var want []string
	for _, public := range pki.Blocks(r.Cluster.Keys.ServiceAccountPubs()) {
		want = append(want, pki.KeyID(public))
	}
	slices.Sort(want)
	return r.eachAPIServer(func(n topology.Node) error {
		client, err := r.Cluster.APIOf(n)
		if err != nil {
			return err
		}
		got, err := client.VerifyingKeys(ctx)
		if slices.Sort(got); err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("its API server verifies tokens by the keys %v, not %v", got, want)
		}
		return err
	})
}

// keyVerifies wants that of both keys, and notes which tokens there are already: an audit log may be gone at the switch.
func keyVerifies(ctx context.Context, r *Runner) error {
	if err := keyServed(ctx, r); err != nil {
		return err
	}
	tokens, err := r.oldTokens(ctx)
	r.Rotation.note(tokens)
	return err
}

// keySigns wants each API server to sign with the next key, and sees until when the old one is needed.
func keySigns(ctx context.Context, r *Runner) error {
	want, began := pki.KeyID(r.Rotation.Next.Cert), time.Now().UTC() // all of them have been started with it
	err := r.eachAPIServer(func(n topology.Node) error {
		client, err := r.Cluster.APIOf(n)
		if err != nil {
			return err
		}
		got, err := client.TokenKey(ctx)
		if err == nil && got != want {
			err = fmt.Errorf("its API server signs tokens with the key %s, not %s", got, want)
		}
		return err
	})
	if err != nil {
		return err
	}
	if r.Rotation.Switched.IsZero() {
		r.Rotation.Switched = began
	}
	tokens, err := r.oldTokens(ctx)
	r.Rotation.note(tokens)
	for _, t := range append(tokens, r.Rotation.untold()...) {
		if t.until.After(r.Rotation.Until) {
			r.Rotation.Until = t.until
		}
	}
	return err
}

// noOldTokens names what has a token of the old key that has not ended.
func noOldTokens(ctx context.Context, r *Runner) error {
	tokens, err := r.oldTokens(ctx)
	if err != nil {
		return err
	}
	tokens = append(tokens, r.Rotation.untold()...)
	var what []string
	var last time.Time
	forever, outside := false, true
	for _, t := range tokens {
		if ended := !t.until.IsZero() && !t.until.After(time.Now()); ended || t.holder != "" && r.Rotation.IgnoreOutside {
			continue
		}
		outside = outside && t.holder != ""
		switch {
		case t.until.IsZero():
			forever = true
			what = append(what, t.what+" does not end")
		default:
			what = append(what, fmt.Sprintf("%s ends at %s", t.what, t.until.UTC().Format(time.RFC3339)))
			if t.until.After(last) {
				last = t.until
			}
		}
	}
	if len(what) == 0 {
		return nil
	}
	if forever {
		last = time.Time{}
	}
	slices.Sort(what)
	return &BlockedError{What: slices.Compact(what), Until: last, Outside: outside}
}

// note keeps of what audit logs tell what has not ended: of those that somebody got for a service account, the one that ends last.
func (r *Rotation) note(tokens []oldToken) {
	last := map[string]oldToken{}
	for _, t := range tokens {
		l, known := last[t.holder]
		later := t.until.IsZero() || !l.until.IsZero() && t.until.After(l.until)
		if ended := !t.until.IsZero() && t.until.Before(time.Now()); t.holder != "" && !ended && (!known || later) {
			last[t.holder] = t
		}
	}
	if r.Told == nil {
		r.Told = map[string]time.Time{}
	}
	maps.DeleteFunc(r.Told, func(_ string, until time.Time) bool { return !until.IsZero() && until.Before(time.Now()) })
	for _, t := range last {
		r.Told[t.what] = t.until
	}
}

// untold are the tokens of which no audit log may tell any more: those that were noted; and of a machine that went, with its log, what was seen
// at the switch ends by Until. Of what was given since it was noted, on a machine that went before the switch, nobody knows; it ends as tokens do for
// which no other time was asked.
func (r *Rotation) untold() []oldToken {
	var out []oldToken
	for what, until := range r.Told {
		out = append(out, oldToken{what: what, until: until, holder: what})
	}
	for node, at := range r.Gone {
		what := "what was given by " + node + " before its machine went at " + at.UTC().Format(time.RFC3339) + ", and its audit log with it,"
		until := at.Add(defaultLifetime)
		if r.Switched.Before(at) && !r.Switched.IsZero() {
			until = r.Until
		}
		if until.IsZero() { // there was none
			continue
		}
		out = append(out, oldToken{what: what, until: until, holder: node})
	}
	return out
}

// An oldToken is one that the old key has signed.
type oldToken struct {
	what  string
	until time.Time // zero: it does not end
	// holder is who got it, for which service account: nobody knows whether he has it still. Empty where it is seen elsewhere than in an
	// audit log.
	holder string
}

// oldTokens looks for what the old key has signed: in the volumes of pods; in Secrets; and in the audit logs, which have
// who asked for a token, of whom nobody knows whether he has it still.
func (r *Runner) oldTokens(ctx context.Context) ([]oldToken, error) {
	client, err := r.Cluster.API()
	if err != nil {
		return nil, err
	}
	id := pki.KeyID(r.Rotation.Old.Cert)
	secrets, err := client.TokenSecrets(ctx, id)
	if err != nil {
		return nil, err
	}
	pods, err := client.PodNames(ctx)
	if err != nil {
		return nil, err
	}
	var out []oldToken
	for _, s := range secrets {
		out = append(out, oldToken{what: "the token in Secret " + s.String()})
	}
	var mu sync.Mutex
	err = each(r.wantedNodes(), func(n topology.Node) []string {
		found, err := r.tokensOn(ctx, n, id, pods)
		if err != nil {
			return []string{fmt.Sprintf("%s: %v", n.Name, err)}
		}
		mu.Lock()
		defer mu.Unlock()
		out = append(out, found...)
		return nil
	})
	return out, err
}

// tokensScript prints, of the tokens in volumes of pods, the path and the header, and when each ends; then the lines of the audit
// log about tokens that were asked for, in which no token is. No token leaves the machine.
const tokensScript = `decode() {
	text=$(printf %s "$1" | tr _- /+)
	while [ $((${#text} % 4)) -ne 0 ]; do text=$text=; done
	printf %s "$text" | base64 -d 2>/dev/null
}
for f in /var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/..data/*; do
	[ -f "$f" ] || continue
	case $(head -c 2 "$f") in ey) ;; *) continue ;; esac
	token=$(cat "$f")
	header=${token%%.*} rest=${token#*.}
	printf 'token %s %s %s\n' "$(decode "${rest%%.*}" | sed -n 's/.*"exp":\([0-9]*\).*/\1/p')" "$(decode "$header" | tr -d ' \n')" "$f"
done
for f in "$1"/audit*.log; do
	[ ! -f "$f" ] || grep -hF '"subresource":"token"' "$f" | sed 's/^/audit /'
done
:
`

func (r *Runner) tokensOn(ctx context.Context, n topology.Node, id string, pods map[string]string) ([]oldToken, error) {
	cmd := machine.Cmd("sh", "-s", "--", auditDir)
	cmd.Stdin = strings.NewReader(tokensScript)
	result, err := r.Cluster.Machine(n.Name).Run(ctx, cmd)
	if err != nil {
		return nil, fmt.Errorf("look for tokens: %w", err)
	}
	return parseTokens(result.Stdout, id, pods, cmp.Or(r.Rotation.Switched, time.Now())), nil
}

// parseTokens reads what the script prints. Of pods that are gone no token is valid.
func parseTokens(text, id string, pods map[string]string, switched time.Time) []oldToken {
	var out []oldToken
	for line := range strings.Lines(text) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		var found *oldToken
		switch kind {
		case "token":
			found = mountedToken(rest, id, pods)
		case "audit":
			found = requestedToken(rest, pods, switched)
		}
		if found != nil {
			out = append(out, *found)
		}
	}
	return out
}

// mountedToken is one in a volume: EXPIRY HEADER PATH.
func mountedToken(line, id string, pods map[string]string) *oldToken {
	parts := strings.SplitN(line, " ", 3)
	if len(parts) < 3 {
		return nil
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if json.Unmarshal([]byte(parts[1]), &header) != nil || header.KeyID != id {
		return nil
	}
	uid, _, _ := strings.Cut(strings.TrimPrefix(parts[2], "/var/lib/kubelet/pods/"), "/")
	pod, ok := pods[uid]
	if !ok {
		return nil
	}
	out := &oldToken{what: "the token of pod " + pod}
	if seconds, err := strconv.ParseInt(parts[0], 10, 64); err == nil {
		out.until = time.Unix(seconds, 0)
	}
	return out
}

// defaultLifetime is that of a token for which none is asked.
const defaultLifetime = time.Hour

// requestedToken is one that the audit log tells of, where it was given before the switch.
func requestedToken(line string, pods map[string]string, switched time.Time) *oldToken {
	var event struct {
		StageTimestamp time.Time
		User           struct{ Username string }
		ObjectRef      struct{ Namespace, Name string }
		ResponseStatus struct{ Code int }
		RequestObject  *struct {
			Spec struct {
				ExpirationSeconds int64
				BoundObjectRef    *struct{ Kind, UID string }
			}
		}
	}
	if json.Unmarshal([]byte(line), &event) != nil || event.ResponseStatus.Code >= 300 || event.StageTimestamp.After(switched) {
		return nil
	}
	if event.User.Username == "system:kube-controller-manager" {
		return nil // for its controllers: these tokens are in its memory, and the switch has started it again
	}
	of := fmt.Sprintf("the token of service account %s/%s that %s got at %s", event.ObjectRef.Namespace, event.ObjectRef.Name, event.User.Username,
		event.StageTimestamp.UTC().Format(time.RFC3339))
	holder := event.ObjectRef.Namespace + "/" + event.ObjectRef.Name + " " + event.User.Username
	lifetime := defaultLifetime
	switch body := event.RequestObject; {
	case body == nil && strings.HasPrefix(event.User.Username, "system:node:"):
		// logged by the policy of an older haplane: kubelets ask for pods, whose volumes are looked at
	case body == nil:
		return &oldToken{what: of + ", for how long the audit log does not tell,", holder: holder}
	default:
		if body.Spec.ExpirationSeconds > 0 {
			lifetime = time.Duration(body.Spec.ExpirationSeconds) * time.Second
		}
		if bound := body.Spec.BoundObjectRef; bound != nil && bound.Kind == "Pod" {
			pod, ok := pods[bound.UID]
			if !ok {
				return nil
			}
			of, holder = "the token of pod "+pod, "" // which is looked for in its volumes
		}
	}
	return &oldToken{what: of, until: event.StageTimestamp.Add(lifetime), holder: holder}
}

// auditDir has the audit logs of an API server, the rotated ones among them.
var auditDir = topology.AuditLog[:strings.LastIndex(topology.AuditLog, "/")]
