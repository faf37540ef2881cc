package collect

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// A visit is to one machine: first what runs and the usual files, then what these
// name, and in the end requests from there.
type visit struct {
	machine    machine.Machine
	root, proc string
	files      *remote
	script     *script
	talk       *conversation
	seen       survey
	clock      *evidence.Clock
	latest     *host // what was seen so far, interpreted; nil where something came since
	asked      *questions
	network    *serviceNetwork
	told       bool
	again      bool // some requests were not made yet
	apiAsked   bool
}

// rounds bounds how often files may name others: a kubeconfig in an odd place that
// names a certificate takes three.
const rounds = 5

func (v *visit) look(ctx context.Context, timeout time.Duration) (*evidence.Machine, []evidence.Missing) {
	wants := slices.Clone(ahead)
	for _, u := range usual {
		for _, pattern := range u.patterns {
			wants = append(wants, want{u.how, pattern})
		}
	}
	v.seen = survey{groups: map[int]string{}, exes: map[int]string{}}
	v.script = newScript(v.root, v.proc)
	v.talk = converse(ctx, v.machine)
	defer v.talk.end()
	v.script.call("survey")
	err := v.run(wants)
	if v.seen.hostname == "" {
		return v.unreachable(err)
	}
	for round := 1; err == nil && v.asked == nil; round++ {
		h := v.interpreted()
		wants := v.files.next()
		if !leads(wants) || round == rounds {
			v.tellNetwork(h.serviceIP())
			v.asked = h.questions(v.network.wait(ctx, timeout/3), v.seen.tools, v.apiAsked)
		}
		err = v.run(wants)
	}
	for err == nil && v.again {
		err = v.run(nil)
	}
	return v.result(err)
}

// leads tells whether the files may name others, or whom to ask.
func leads(wants []want) bool {
	return slices.ContainsFunc(wants, func(w want) bool { return w.how == asText || w.how == asBalancer })
}

func (v *visit) tellNetwork(address netip.Addr) {
	if !v.told {
		v.told = true
		v.network.tell(address)
	}
}

// run has a machine look, and takes what it says, also where it did not come to its end.
func (v *visit) run(wants []want) error {
	s := v.script
	timed := v.seen.hostname != "" // the first round takes the time of logging in as well
	if timed {
		s.call("clock")
	}
	s.look(v.files.ask(wants))
	s.call("files")
	if v.asked != nil {
		v.asked.write(s)
	}
	sent := time.Now()
	said, came, err := v.talk.ask(s.round(), s.ends())
	answers := map[string]string{}
	for _, part := range s.sections(said) {
		switch part.title {
		case "clock":
			if c := clockOf(part.body, sent, came); c != nil && (v.clock == nil || c.Uncertainty < v.clock.Uncertainty) {
				v.clock = c
			}
		case "answer":
			answers[part.arg] = part.body
		default:
			v.files.take(part)
			v.seen.take(part)
		}
	}
	if len(wants) > 0 {
		v.latest = nil
	}
	if v.asked != nil {
		v.again = v.asked.take(answers)
	}
	return err
}

// interpreted is what the files that came so far tell.
func (v *visit) interpreted() *host {
	if v.latest != nil {
		v.latest.machine.Clock = v.clock
		return v.latest
	}
	h := newHost(v.machine.Name(), evidence.Machines, v.files)
	h.processes, h.states = v.seen.processes(), v.seen.states
	if len(h.states) == 0 { // systemd was not there to be asked
		h.states = statesOfFiles(v.files.have, func(string) string { return "" })
	}
	h.machine.Led = v.seen.led
	h.machine.Hostname, h.machine.Addresses, h.machine.Listening, h.machine.Clock = v.seen.hostname, v.seen.addresses, v.seen.listening, v.clock
	h.interpret()
	if h.machine.Keepalived != nil || h.machine.Program(evidence.KubeVIP) != nil {
		h.machine.Interfaces = v.seen.interfaces
	}
	v.latest = h
	return h
}

// result is all that was seen, in spite of an error in the end.
func (v *visit) result(err error) (*evidence.Machine, []evidence.Missing) {
	h := v.interpreted()
	v.asked.answer(h)
	name := v.machine.Name()
	if err != nil {
		h.add("ssh "+name, explain(err), "See why "+name+" answers so slowly, or give it more time with --timeout.")
	}
	if v.seen.user != "0" && v.seen.user != "" {
		h.add("ssh "+name, "logged in as user "+v.seen.user+": what only root can read was not seen", asRootFix)
	}
	for _, tool := range []string{"stat", "sha256sum"} {
		if !slices.Contains(v.seen.tools, tool) {
			h.add(tool, "not installed", "Install coreutils on "+name+".")
		}
	}
	return h.machine, h.missing
}

const asRootFix = "Log in as root, or as a user that may use sudo without a password."

func (v *visit) unreachable(err error) (*evidence.Machine, []evidence.Missing) {
	name := v.machine.Name()
	if err == nil {
		err = errors.New("no answer to the script that looks")
	}
	fix := "Start the machine, see that ssh reaches it, or leave it out."
	if refused := (*machine.CommandError)(nil); errors.As(err, &refused) { // ssh did reach it
		fix = asRootFix
	}
	return &evidence.Machine{Name: name, Way: evidence.Machines},
		[]evidence.Missing{{Way: evidence.Machines, Node: name, Source: "ssh " + name, Err: explain(err), Fix: fix}}
}

// explain is an error without the command that it came of.
func explain(err error) string {
	if errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "connect to") {
		return "no answer in time"
	}
	return err.Error()
}
