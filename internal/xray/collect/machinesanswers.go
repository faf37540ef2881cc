package collect

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// A reply is what curl printed of one request.
type reply struct {
	body   string
	status int // 0 where there was no answer
	took   time.Duration
	err    string
}

// read hands over the body of an answer. Errors of etcd's gateway have one too.
func (r reply) read(take func(string) error) error {
	if r.err != "" || r.status == 0 {
		return errors.New(cmp.Or(r.err, "no answer"))
	}
	err := take(r.body)
	if err != nil && r.status != 200 {
		return fmt.Errorf("HTTP %d: %w", r.status, err)
	}
	return err
}

// replies are those of one curl, in the order of its requests. One that it has not
// finished has none. The first error is of the first request without an answer.
func replies(text string) []reply {
	var out []reply
	var body, failed []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line == "@errors" {
			failed = curlErrors(lines[i+1:])
			break
		}
		if !strings.HasPrefix(line, "@status ") {
			body = append(body, line)
			continue
		}
		fields := append(strings.Fields(line), "", "")
		r := reply{body: strings.TrimSpace(strings.Join(body, "\n"))}
		r.status, _ = strconv.Atoi(fields[1])
		seconds, _ := strconv.ParseFloat(fields[2], 64)
		r.took = time.Duration(seconds * float64(time.Second))
		out, body = append(out, r), nil
	}
	if len(out) == 0 && len(failed) > 0 { // a curl that does not know an option
		return []reply{{err: failed[0]}}
	}
	for i := range out {
		if out[i].status == 0 && len(failed) > 0 {
			out[i].err, failed = failed[0], failed[1:]
		}
	}
	return out
}

// curlErrors leaves the explanations out that follow some errors.
func curlErrors(lines []string) []string {
	var out []string
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "curl: "); ok {
			if _, text, numbered := strings.Cut(rest, ") "); numbered && rest[0] == '(' {
				rest = text
			}
			out = append(out, rest)
		}
	}
	return out
}

// answerBytes is how much of an answer is kept.
const answerBytes = 1 << 10

// answered completes the request. There is no reply where time ran out before.
func (a ask) answered(r *reply) evidence.Request {
	out := a.request
	if r == nil {
		out.Err = "no answer in time"
		return out
	}
	out.Status, out.Err, out.Took = r.status, r.err, r.took
	if r.status == 0 {
		out.Err = cmp.Or(r.err, "no answer")
	}
	out.Answer = strings.ToValidUTF8(r.body[:min(len(r.body), answerBytes)], "")
	return out
}

// versionIn is the version in what `kube-apiserver --version` prints.
func versionIn(text string) string {
	for word := range strings.FieldsSeq(text) {
		if len(word) > 1 && word[0] == 'v' && word[1] >= '0' && word[1] <= '9' {
			return word
		}
	}
	return ""
}

// balancerState is what HAProxy's `show stat` says of the servers of the backend. The
// configuration tells which of them are backups, and which are checked.
func balancerState(text, backend string, configured []evidence.Backend) ([]evidence.Backend, error) {
	body, exit, _ := strings.Cut(text, "@exit ")
	if strings.TrimSpace(exit) != "0" {
		return nil, fmt.Errorf("socat: %s", cmp.Or(strings.TrimSpace(body), "no answer"))
	}
	all, err := haproxyapi.ParseStat(strings.TrimSpace(body) + "\n")
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.Name != backend {
			continue
		}
		out := []evidence.Backend{}
		for _, s := range b.Servers {
			out = append(out, stateOf(s, configured))
		}
		return out, nil
	}
	return nil, fmt.Errorf("HAProxy has no backend %q: it runs with another configuration", backend)
}

func stateOf(s haproxyapi.Server, configured []evidence.Backend) evidence.Backend {
	out := evidence.Backend{Name: s.Name, Address: s.Address, Status: s.Status, Detail: strings.TrimPrefix(s.LastCheck.Status, "* "),
		Just: s.LastChange >= 0 && s.LastChange < 2*time.Second}
	if s.LastCheck.Code != 0 && s.LastCheck.Code != 200 {
		out.Detail += fmt.Sprintf(" %d", s.LastCheck.Code)
	}
	for _, c := range configured {
		if c.Name == s.Name {
			out.Backup, out.Checked = c.Backup, c.Checked
		}
	}
	return out
}
