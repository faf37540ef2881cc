package apply

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the old key has signed is found in volumes and in the audit logs, and not what has gone.
func TestOldTokens(t *testing.T) {
	switched := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	pods := map[string]string{"u1": "default/web"}
	event := func(at, user, spec string) string {
		body := ""
		if spec != "" {
			body = `,"requestObject":{"kind":"TokenRequest","spec":` + spec + `}`
		}
		return `audit {"stageTimestamp":"2026-11-28T` + at + `Z","user":{"username":"` + user + `"},"objectRef":{"namespace":"default","name":"app","subresource":"token"},"responseStatus":{"code":201}` + body + `}`
	}
	const volumes = "/volumes/kubernetes.io~projected/kube-api-access/..data/token"
	tests := map[string]struct {
		line  string
		what  string
		until time.Time
	}{
		"in a volume":            {`token 1795870800 {"alg":"ES256","kid":"old"} /var/lib/kubelet/pods/u1` + volumes, "the token of pod default/web", time.Unix(1795870800, 0)},
		"of the new key":         {`token 1795870800 {"alg":"ES256","kid":"new"} /var/lib/kubelet/pods/u1` + volumes, "", time.Time{}},
		"of a pod that is gone":  {`token 1795870800 {"alg":"ES256","kid":"old"} /var/lib/kubelet/pods/u2` + volumes, "", time.Time{}},
		"no token":               {`token   /var/lib/kubelet/pods/u1` + volumes, "", time.Time{}},
		"for a pod":              {event("12:30:00", "system:node:n", `{"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","uid":"u1"}}`), "the token of pod default/web", switched.Add(30*time.Minute + 7*time.Second)},
		"for a pod that is gone": {event("12:30:00", "system:node:n", `{"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","uid":"u2"}}`), "", time.Time{}},
		"for a day":              {event("12:30:00", "me", `{"expirationSeconds":86400}`), "the token of service account default/app that me got at 2026-11-28T12:30:00Z", switched.Add(23*time.Hour + 30*time.Minute)},
		"as long as by default":  {event("12:30:00", "me", `{}`), "the token of service account default/app that me got at 2026-11-28T12:30:00Z", switched.Add(30 * time.Minute)},
		"after the switch":       {event("13:00:01", "me", `{"expirationSeconds":86400}`), "", time.Time{}},
		"of a controller":        {event("12:59:00", "system:kube-controller-manager", `{"expirationSeconds":3600}`), "", time.Time{}},
		"nobody knows how long":  {event("12:59:00", "me", ""), "the token of service account default/app that me got at 2026-11-28T12:59:00Z, for how long the audit log does not tell,", time.Time{}},
		"refused":                {`audit {"stageTimestamp":"2026-11-28T12:00:00Z","responseStatus":{"code":403}}`, "", time.Time{}},
		"half a line":            {`audit {"stageTimestamp":`, "", time.Time{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := parseTokens(test.line+"\n", "old", pods, switched)
			if test.what == "" {
				if len(got) > 0 {
					t.Errorf("found %v", got)
				}
				return
			}
			if len(got) != 1 || got[0].what != test.what || !got[0].until.Equal(test.until) {
				t.Errorf("found %v, want %s until %s", got, test.what, test.until)
			}
		})
	}
}

// Who comes from outside with a client certificate is told by the audit log: also who came before the switch. What was haplane's own is in use by
// nobody but a copy once it was made anew; and whoever calls himself system: is not therefore one of ours.
func TestOutsiders(t *testing.T) {
	since, switched := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC), time.Date(2026, 11, 28, 13, 5, 0, 0, time.UTC)
	ours := own{now: map[string]bool{"now": true, "kubelet": true}, retired: map[string]time.Time{"retired": switched, "retiring": {}},
		kubelets: map[string]bool{"system:node:cp-1": true}, switched: switched}
	for name, test := range map[string]struct {
		line string
		want bool
	}{
		"of the record":                            {"now 2026-11-28T13:06:00.1Z kubernetes-super-admin", false},
		"ours until the switch":                    {"retired 2026-11-28T13:04:59.9Z kubernetes-admin", false},
		"a copy of that":                           {"retired 2026-11-28T13:05:00.1Z kubernetes-admin", true},
		"a copy of a scheduler's":                  {"retired 2026-11-28T13:05:00.1Z system:kube-scheduler", true},
		"being made anew":                          {"retiring 2026-11-28T13:08:00Z system:kube-proxy", false},
		"somebody's, before the switch":            {"else 2026-11-28T13:01:00Z me too", true},
		"somebody's, after it":                     {"else 2026-11-28T13:07:00Z me too", true},
		"somebody's, long ago":                     {"else 2026-11-28T12:59:59.9Z me too", false},
		"a controller's name, and no such program": {"else 2026-11-28T13:01:00Z system:kube-controller-manager", true},
		"a kubelet's own":                          {"kubelet 2026-11-28T13:07:00Z system:node:cp-1", false},
		"a kubelet's own of before":                {"else 2026-11-28T13:04:00Z system:node:cp-1", false},
		"what a kubelet cannot have any more":      {"else 2026-11-28T13:06:00Z system:node:cp-1", true},
		"a node that is none of the cluster's":     {"else 2026-11-28T13:04:00Z system:node:other", true},
		"half a line":                              {"else 2026-11-28T13:04:00Z", false},
		"when a file begins":                       {"begins 2026-11-28T13:04:00Z", false},
	} {
		if got := outsiders(test.line+"\n", ours, since); (len(got) > 0) != test.want {
			t.Errorf("%s: found %q", name, got)
		} else if _, user, _ := strings.Cut(test.line, "Z "); test.want && !strings.Contains(got[0], "user "+user+" came at 13:0") {
			t.Errorf("%s: %s", name, got[0])
		}
	}
}

// What the script prints of audit logs as API servers write them: the last time that each certificate was shown, of those that are written to, and when the
// earliest begins.
func TestOutsideScript(t *testing.T) {
	dir := t.TempDir()
	line := func(at, user, rest string) string {
		return `{"kind":"Event","level":"Metadata","user":{"username":"` + user + `","groups":["a"]` + rest + `},"requestReceivedTimestamp":"2020-01-01T00:00:00Z","stageTimestamp":"` + at + `","annotations":{}}` + "\n"
	}
	shows := func(sum string) string {
		return `,"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=` + sum + `"]}`
	}
	for name, text := range map[string]string{
		"audit-2026-11-28T13-00-00.000.log": line("2026-11-28T12:00:00.000001Z", "me", shows("aa")) + line("2026-11-28T12:01:00.000001Z", "system:apiserver", ""),
		"audit.log":                         line("2026-11-28T13:00:00.000001Z", "me", shows("aa")) + line("2026-11-28T13:00:01.000001Z", "you", shows("bb")) + line("2026-11-28T13:00:02.000001Z", "pod", ""),
		"other.log":                         line("2026-11-28T11:00:00.000001Z", "me", shows("cc")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(dir string) string {
		cmd := exec.Command("sh", "-s", "--", dir)
		cmd.Stdin = strings.NewReader(outsideScript)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	got := run(dir)
	want := "begins 2026-11-28T12:00:00.000001Z\nbegins 2026-11-28T13:00:00.000001Z\nbb 2026-11-28T13:00:01.000001Z you\naa 2026-11-28T13:00:00.000001Z me\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	for since, want := range map[string]string{"2026-11-28T12:00:01Z": "", "2026-11-28T11:59:59Z": "begins at 12:00:00 UTC only"} {
		at, err := time.Parse(time.RFC3339, since)
		if gap := logGap(got, at); err != nil || (gap == "") != (want == "") || !strings.Contains(gap, want) {
			t.Errorf("since %s: %q", since, gap)
		}
	}
	if gap := logGap(run(t.TempDir()), time.Now()); !strings.HasPrefix(gap, "is empty") {
		t.Errorf("without a log: %q", gap)
	}
}

// What an audit log told that went with its machine is not forgotten.
func TestUntoldTokens(t *testing.T) {
	switched, gone := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC), time.Date(2026, 11, 28, 12, 30, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		r    Rotation
		want time.Time // zero: nothing
	}{
		"no machine went":                   {Rotation{Switched: switched, Until: switched.Add(time.Hour)}, time.Time{}},
		"before the switch":                 {Rotation{Switched: switched, Gone: map[string]time.Time{"cp-2": gone}}, gone.Add(time.Hour)},
		"before, and there was none yet":    {Rotation{Gone: map[string]time.Time{"cp-2": gone}}, gone.Add(time.Hour)},
		"after it, with what was seen then": {Rotation{Switched: switched, Until: switched.Add(24 * time.Hour), Gone: map[string]time.Time{"cp-2": switched.Add(time.Minute)}}, switched.Add(24 * time.Hour)},
		"after it, with nothing seen then":  {Rotation{Switched: switched, Gone: map[string]time.Time{"cp-2": switched.Add(time.Minute)}}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.r.untold()
			if test.want.IsZero() != (len(got) == 0) || len(got) > 0 && (!got[0].until.Equal(test.want) || !strings.Contains(got[0].what, "given by cp-2 before its machine went at 2026-11-28T")) {
				t.Errorf("%+v, want until %s", got, test.want)
			}
		})
	}
}

// What audit logs told of tokens is not forgotten with them, be they rotated or gone with their machine: of each who got tokens, the one
// that ends last, and one of which nobody knows the end above all.
func TestToldTokens(t *testing.T) {
	now := time.Now()
	token := func(what, holder string, ends time.Duration) oldToken {
		if ends == 0 {
			return oldToken{what: what, holder: holder}
		}
		return oldToken{what: what, holder: holder, until: now.Add(ends)}
	}
	r := Rotation{Told: map[string]time.Time{"ended since": now.Add(-time.Second)}}
	r.note([]oldToken{token("early", "a", time.Hour), token("late", "a", 2*time.Hour), token("endless", "b", 0), token("ends", "b", time.Hour),
		token("ended", "c", -time.Hour), token("of a pod", "", time.Hour)})
	r.note(nil) // the logs are gone
	got := map[string]time.Time{}
	for _, t := range r.untold() {
		got[t.what] = t.until
	}
	if diff := cmp.Diff(map[string]time.Time{"late": now.Add(2 * time.Hour), "endless": {}}, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	r.note([]oldToken{token("later", "a", 3*time.Hour)})
	if len(r.untold()) != 3 {
		t.Errorf("%v", r.untold())
	}
}
