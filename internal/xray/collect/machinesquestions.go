package collect

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Questions are what is asked on a machine in the end.
type questions struct {
	requests []*request
	etcd     *etcdAsk
	asks     []ask
	sockets  []string       // of HAProxy
	versions map[int]string // path of the program, by process
	vrrp     bool           // of keepalived
	curl     bool
	answers  map[string]string // of others than curl, by question
}

// A request is made with curl. What follows one without an answer is asked anew, but
// for further ones to a member of etcd.
type request struct {
	args   []string
	pem    string // a CA that is in no file
	ofEtcd bool
	reply  *reply // nil before there is one
}

// questions follow from what was seen. Programs that are asked for their version
// are those whose version nothing else tells: a call for each file, not each program,
// and none for the files of which the API tells.
func (h *host) questions(serviceIP netip.Addr, tools []string, apiAsked bool) *questions {
	q := &questions{asks: h.asks(serviceIP), etcd: h.askEtcd(), versions: map[int]string{}, curl: slices.Contains(tools, "curl")}
	q.prepare()
	if p := h.program(evidence.HAProxy); p != nil && p.Running && slices.Contains(tools, "socat") {
		q.sockets = h.balancing.sockets[:min(len(h.balancing.sockets), 1)]
	}
	if p := h.program(evidence.KeepalivedProgram); p != nil && p.Running {
		q.vrrp = true
	}
	var known []string
	for _, name := range toldByAPI {
		if p := h.program(name); apiAsked && p != nil && p.process != nil {
			known = append(known, p.process.exe)
		}
	}
	for _, p := range h.programs {
		if p.process == nil || p.process.exe == "" || p.Version != "" || p.inside || !slices.Contains(versioned, p.Name) || slices.Contains(known, p.process.exe) {
			continue
		}
		if len(p.Argv) > 0 && len(p.Argv[0]) > 0 && p.Argv[0][0] == '/' {
			known = append(known, p.process.exe)
			q.versions[p.process.pid] = p.Argv[0]
		}
	}
	return q
}

// versioned are the programs whose versions are compared.
var versioned = []string{evidence.APIServer, evidence.ControllerManager, evidence.Scheduler, evidence.Kubelet, evidence.KubeProxy}

// prepare makes the requests: those to the member first, for they are the nearest.
func (q *questions) prepare() {
	if !q.curl {
		return
	}
	if q.etcd != nil {
		for _, path := range etcdPaths {
			q.requests = append(q.requests, &request{args: q.etcd.command(path), ofEtcd: true})
		}
	}
	for _, a := range q.asks {
		q.requests = append(q.requests, &request{args: a.command(), pem: a.trust.pem})
	}
}

// open are the requests that can be made next, for each curl. A CA that is in no file
// comes on the input of one, which can be read once.
func (q *questions) open() [][]*request {
	var first []*request
	var alone [][]*request
	for _, r := range q.requests {
		switch {
		case r.reply != nil:
		case r.pem == "":
			first = append(first, r)
		default:
			alone = append(alone, []*request{r})
		}
	}
	if len(first) > 0 {
		return append([][]*request{first}, alone...)
	}
	return alone
}

// stateID is the question to HAProxy, strangersID that for what keepalived has heard, versionID that for the version of a process.
// Those of curls are numbers.
const stateID, strangersID = "state", "strangers"

func versionID(pid int) string { return fmt.Sprint("version-", pid) }

// write asks. What is no request is asked once.
func (q *questions) write(s *script) {
	for i, group := range q.open() {
		args := []string{strconv.Itoa(i), group[0].pem}
		for j, r := range group {
			if j > 0 {
				args = append(args, "--next")
			}
			args = append(args, r.args...)
		}
		s.call("ask", args...)
	}
	if q.answers != nil {
		return
	}
	for pid, file := range q.versions {
		s.call("version", strconv.Itoa(pid), file)
	}
	for _, socket := range q.sockets {
		s.call("state", socket)
	}
	if q.vrrp {
		s.call("strangers")
	}
}

// take takes the answers, and tells whether there is something to ask once more.
func (q *questions) take(answers map[string]string) (again bool) {
	for i, group := range q.open() {
		all := replies(answers[strconv.Itoa(i)])
		for j := range min(len(all), len(group)) {
			group[j].reply = &all[j]
			again = true
		}
	}
	q.giveUpEtcd()
	if q.answers == nil {
		q.answers = answers
	}
	return again && len(q.open()) > 0
}

// giveUpEtcd leaves out what follows a request that the member did not answer: it would
// take as long.
func (q *questions) giveUpEtcd() {
	failed := slices.ContainsFunc(q.requests, func(r *request) bool { return r.ofEtcd && r.reply != nil && r.reply.status == 0 })
	q.requests = slices.DeleteFunc(q.requests, func(r *request) bool { return failed && r.ofEtcd && r.reply == nil })
}

// answer puts the answers into the evidence. Without questions there are none: what
// made them impossible is missing already.
func (q *questions) answer(h *host) {
	if q == nil || q.answers == nil {
		return
	}
	q.answerVersions(h)
	q.answerState(h)
	if k := h.machine.Keepalived; k != nil {
		k.Strangers = strings.ToValidUTF8(strings.TrimSpace(q.answers[strangersID]), "")
	}
	if !q.curl {
		if q.etcd != nil || len(q.asks) > 0 {
			h.add("curl", "not installed: nothing was asked from this machine", "Install curl on "+h.machine.Name+".")
		}
		return
	}
	var ofEtcd []reply
	var others []*reply
	for _, r := range q.requests {
		switch {
		case !r.ofEtcd:
			others = append(others, r.reply)
		case r.reply != nil:
			ofEtcd = append(ofEtcd, *r.reply)
		}
	}
	if q.etcd != nil {
		h.machine.Etcd = q.etcd.evidence(ofEtcd)
	}
	for i, a := range q.asks {
		h.machine.Requests = append(h.machine.Requests, a.answered(others[i]))
	}
}

func (q *questions) answerVersions(h *host) {
	byExe := map[string]string{}
	for pid := range q.versions {
		i := slices.IndexFunc(h.processes, func(p process) bool { return p.pid == pid })
		byExe[h.processes[i].exe] = versionIn(q.answers[versionID(pid)])
	}
	for i := range h.machine.Programs {
		p := &h.programs[i]
		if p.process != nil && p.Version == "" && slices.Contains(versioned, p.Name) {
			h.machine.Programs[i].Version = byExe[p.process.exe]
		}
	}
}

func (q *questions) answerState(h *host) {
	lb := h.machine.LoadBalancer
	switch {
	case lb == nil || lb.Kind != evidence.HAProxy:
	case len(q.sockets) == 0:
		lb.Notes = append(lb.Notes, "its runtime API was not asked: that takes a stats socket in its configuration, and socat")
	default:
		state, err := balancerState(q.answers[stateID], h.balancing.backend, lb.Backends)
		if lb.State = state; err != nil {
			h.add(q.sockets[0], err.Error(), "See that HAProxy runs and has this socket.")
		}
	}
}
