package collect

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Questions are what is asked on a machine in the end, each under an ID.
type questions struct {
	groups   [][]ask // each by one curl
	etcd     *etcdAsk
	sockets  []string       // of HAProxy
	versions map[int]string // path of the program, by process
	curl     bool
}

// questions follow from what was seen. Programs that are asked for their version
// are those whose version nothing else tells: a call for each file, not each program,
// and none for the files of which the API tells.
func (h *host) questions(serviceIP netip.Addr, tools []string, apiAsked bool) *questions {
	q := &questions{groups: grouped(h.asks(serviceIP)), etcd: h.askEtcd(), versions: map[int]string{}, curl: slices.Contains(tools, "curl")}
	if p := h.program(evidence.HAProxy); p != nil && p.Running && slices.Contains(tools, "socat") {
		q.sockets = h.balancing.sockets[:min(len(h.balancing.sockets), 1)]
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

// IDs of questions.
const (
	requestsID = "requests"
	etcdID     = "etcd"
	stateID    = "state"
)

func (q *questions) write(s *script) {
	s.call("section", "answers")
	for pid, file := range q.versions {
		s.call("version", fmt.Sprintf("version-%d", pid), strconv.Itoa(pid), file)
	}
	for _, socket := range q.sockets {
		s.call("state", stateID, socket)
	}
	if q.curl && q.etcd != nil {
		s.call("ask", append([]string{etcdID, ""}, q.etcd.command()...)...)
	}
	for i, group := range q.groups {
		if q.curl {
			s.call("ask", append([]string{fmt.Sprint(requestsID, i), group[0].trust.pem}, together(group)...)...)
		}
	}
	s.call("wait")
}

// answer puts the answers into the evidence. Without questions there are none: what
// made them impossible is missing already.
func (q *questions) answer(h *host, answers map[string][]string) {
	if q == nil || answers == nil {
		return
	}
	q.answerVersions(h, answers)
	q.answerState(h, answers)
	if !q.curl {
		if q.etcd != nil || len(q.groups) > 0 {
			h.add("curl", "not installed: nothing was asked from this machine", "Install curl on "+h.machine.Name+".")
		}
		return
	}
	if q.etcd != nil {
		h.machine.Etcd = q.etcd.evidence(replies(answers[etcdID]))
	}
	for i, group := range q.groups {
		all := replies(answers[fmt.Sprint(requestsID, i)])
		for j, a := range group {
			var r *reply
			if j < len(all) {
				r = &all[j]
			}
			h.machine.Requests = append(h.machine.Requests, a.answered(r))
		}
	}
}

func (q *questions) answerVersions(h *host, answers map[string][]string) {
	byExe := map[string]string{}
	for pid := range q.versions {
		i := slices.IndexFunc(h.processes, func(p process) bool { return p.pid == pid })
		byExe[h.processes[i].exe] = versionIn(answers[fmt.Sprintf("version-%d", pid)])
	}
	for i := range h.machine.Programs {
		p := &h.programs[i]
		if p.process != nil && p.Version == "" && slices.Contains(versioned, p.Name) {
			h.machine.Programs[i].Version = byExe[p.process.exe]
		}
	}
}

func (q *questions) answerState(h *host, answers map[string][]string) {
	lb := h.machine.LoadBalancer
	switch {
	case lb == nil || lb.Kind != evidence.HAProxy:
	case len(q.sockets) == 0:
		lb.Notes = append(lb.Notes, "its runtime API was not asked: that takes a stats socket in its configuration, and socat")
	default:
		state, err := balancerState(answers[stateID], h.balancing.backend, lb.Backends)
		if lb.State = state; err != nil {
			h.add(q.sockets[0], err.Error(), "See that HAProxy runs and has this socket.")
		}
	}
}
