package address

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/poll"
)

// A Fault happens to one machine that may have the address; others are those that may have it too. Inject returns how it is put
// right, also beside an error; heal can be called twice. A machine that is put right may take some seconds to be well.
type Fault struct {
	Name   string
	Inject func(ctx context.Context, m Machine, others []Machine) (heal func(context.Context) error, err error)
}

// Faults that a machine can have. There is no step of its clock: a local machine has the host's. That no step moves the
// address is for the property test of package lease, whose machines have clocks of their own, and by which clock it goes (CLOCK_BOOTTIME).
func Faults() []Fault {
	return []Fault{
		{CutOff, loss("cut", func(m string, others []string) []string {
			return append(between([]string{m}, others), between(others, []string{m})...)
		})},
		{Deaf, loss("deaf", func(m string, others []string) []string { return between(others, []string{m}) })},
		{Dumb, loss("dumb", func(m string, others []string) []string { return between([]string{m}, others) })},
		{CannotReceive, loss("receive", func(m string, _ []string) []string { return []string{"to " + m} })},
		{CannotSend, loss("send", func(m string, _ []string) []string { return []string{"from " + m} })},
		{Unplugged, func(ctx context.Context, m Machine, _ []Machine) (func(context.Context) error, error) {
			return m.Unplug(ctx)
		}},
		{Frozen, func(ctx context.Context, m Machine, _ []Machine) (func(context.Context) error, error) {
			return m.Freeze(ctx)
		}},
		{HAProxyKilled, signalled(HAProxy, unix.SIGKILL)},
		{HAProxyHangs, signalled(HAProxy, unix.SIGSTOP)},
		{KeepalivedKilled, signalled(Keepalived, unix.SIGKILL)},
		{KeepalivedHangs, signalled(Keepalived, unix.SIGSTOP)},
		{GuardKilled, signalled(Guard, unix.SIGKILL)},
		{GuardHangs, signalled(Guard, unix.SIGSTOP)},
		{PoweredOff, poweredOff},
	}
}

// Names of Faults.
const (
	CutOff           = "the others do not hear it, nor it them"
	Deaf             = "it does not hear the others"
	Dumb             = "the others do not hear it"
	CannotReceive    = "it cannot receive"
	CannotSend       = "it cannot send"
	Unplugged        = "off the network"
	Frozen           = "frozen"
	HAProxyKilled    = "HAProxy killed"
	HAProxyHangs     = "HAProxy hangs"
	KeepalivedKilled = "keepalived killed"
	KeepalivedHangs  = "keepalived hangs"
	GuardKilled      = "haplane agent killed"
	GuardHangs       = "haplane agent hangs"
	PoweredOff       = "powered off"
)

// Named is the fault of a name.
func Named(name string) Fault {
	all := Faults()
	return all[slices.IndexFunc(all, func(f Fault) bool { return f.Name == name })]
}

// signalled is a program that gets a signal; one that ended comes again by itself, if it does.
func signalled(p Program, s unix.Signal) func(context.Context, Machine, []Machine) (func(context.Context) error, error) {
	return func(_ context.Context, m Machine, _ []Machine) (func(context.Context) error, error) {
		heal := func(context.Context) error { return nil }
		if s == unix.SIGSTOP {
			heal = func(context.Context) error {
				if _, err := m.processes(p); err != nil {
					return nil // it was killed meanwhile
				}
				return m.Signal(p, unix.SIGCONT)
			}
		}
		return heal, m.Signal(p, s)
	}
}

// poweredOff has its power back when heal returns; it boots then.
func poweredOff(ctx context.Context, m Machine, _ []Machine) (func(context.Context) error, error) {
	heal := func(ctx context.Context) error { return m.Cluster.Provider().Start(ctx, m.Name) }
	return heal, errors.Join(m.thaw(), m.Cluster.Provider().Kill(ctx, m.Name)) // what is frozen cannot be killed
}

// between are the frames that ports of the bridge send to other ones.
func between(from, to []string) []string {
	var out []string
	for _, f := range from {
		for _, t := range to {
			out = append(out, f+" "+t)
		}
	}
	return out
}

// loss has the bridge drop frames, of any kind, that go through the port of a machine, from and to those of the others that are there.
func loss(kind string, frames func(m string, others []string) []string) func(context.Context, Machine, []Machine) (func(context.Context) error, error) {
	return func(ctx context.Context, m Machine, others []Machine) (func(context.Context) error, error) {
		table := tablePrefix + kind + "-" + m.Name
		heal := func(ctx context.Context) error { return deleteTable(ctx, table) }
		own, err := m.port(ctx)
		if err != nil {
			return heal, err
		}
		var ports []string
		for _, other := range others {
			if port, err := other.port(ctx); err == nil { // one that is off hears nothing anyway
				ports = append(ports, port.Attrs().Name)
			}
		}
		return heal, errors.Join(heal(ctx), nft(ctx, rules(table, frames(own.Attrs().Name, ports))))
	}
}

const tablePrefix = "haplane-fault-"

// rules are nft's for frames that are dropped: "from PORT", "to PORT" or "PORT PORT".
func rules(table string, frames []string) string {
	var in, through, out []string
	for _, f := range frames {
		from, to, _ := strings.Cut(f, " ")
		switch {
		case from == "from":
			in = append(in, fmt.Sprintf("iifname %q drop", to))
		case from == "to":
			out = append(out, fmt.Sprintf("oifname %q drop", to))
		default:
			through = append(through, fmt.Sprintf("iifname %q oifname %q drop", from, to))
		}
	}
	text := "table bridge " + table + " {\n"
	for _, chain := range []struct {
		hook  string
		rules []string
	}{{"prerouting", in}, {"forward", through}, {"postrouting", out}} {
		if len(chain.rules) > 0 {
			text += fmt.Sprintf("chain %s {\ntype filter hook %s priority 0;\n%s\n}\n", chain.hook, chain.hook, strings.Join(chain.rules, "\n"))
		}
	}
	return text + "}\n"
}

// deleteTable deletes one that may not be there.
func deleteTable(ctx context.Context, table string) error {
	return nft(ctx, fmt.Sprintf("add table bridge %s\ndelete table bridge %s\n", table, table))
}

// HealLoss deletes what a run that was killed has left on the host.
func HealLoss(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "nft", "list", "tables", "bridge").Output()
	if err != nil {
		return fmt.Errorf("list tables of the bridges: %w", err)
	}
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, tablePrefix) {
			err = errors.Join(err, deleteTable(ctx, word))
		}
	}
	return err
}

func nft(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// A Hurt is a fault that is to happen once.
type Hurt struct {
	Fault  string
	Holder bool          // it happens to the machine that has the address then; else to another one
	After  time.Duration // the beginning of the run
	Lasts  time.Duration // until it is put right
}

func (h Hurt) String() string {
	who := map[bool]string{true: "the one with the address", false: "another one"}[h.Holder]
	return fmt.Sprintf("after %s %s: %s, for %s", h.After.Round(time.Millisecond), who, h.Fault, h.Lasts.Round(time.Millisecond))
}

// Draw chooses one or two faults, of 0.2 to 3 s each; the second one begins within 4 s after the first, while that lasts, is put right, or is over. What
// happens to the machine with the address is of more interest: three of four do.
//
// A guard that hangs comes alone. It is known to have two machines answer for up to half a second where another fault keeps keepalived beside it from
// hearing that the address was taken, and from leaving it (docs/load-balancer.md, "What it cannot do").
func Draw(r *rand.Rand) []Hurt {
	all := Faults()
	draw := func(after time.Duration) Hurt {
		return Hurt{all[r.IntN(len(all))].Name, r.IntN(4) > 0, after, 200*time.Millisecond + time.Duration(r.Int64N(int64(2800*time.Millisecond)))}
	}
	out := []Hurt{draw(0)}
	if out[0].Fault == GuardHangs || r.IntN(2) == 0 {
		return out
	}
	second := draw(time.Duration(r.Int64N(int64(4 * time.Second))))
	for second.Fault == GuardHangs || second.Fault == out[0].Fault {
		second.Fault = all[r.IntN(len(all))].Name
	}
	return append(out, second)
}

// Happen has faults happen to machines that move an address, each in its time, and puts them right, whatever becomes of ctx. It returns when
// all machines are well enough to have the address, and for each one that was hurt the time from when it was until it was well again.
func (w *Watch) Happen(ctx context.Context, hurts []Hurt, wellTime time.Duration) (map[string][]Span, error) {
	type done struct {
		machine string
		span    Span
		err     error
	}
	began := time.Now()
	results := make(chan done)
	for i, h := range hurts {
		go func() {
			var d done
			d.machine, d.span, d.err = w.happen(ctx, h, began, len(hurts) > 1, wellTime)
			if d.err != nil {
				d.err = fmt.Errorf("fault %d, %s: %w", i+1, h, d.err)
			}
			results <- d
		}()
	}
	out := map[string][]Span{}
	var errs []error
	for range hurts {
		d := <-results
		out[d.machine], errs = append(out[d.machine], d.span), append(errs, d.err)
	}
	return out, errors.Join(errs...)
}

func (w *Watch) happen(ctx context.Context, h Hurt, began time.Time, beside bool, wellTime time.Duration) (machine string, span Span, err error) {
	if err := until(ctx, began.Add(h.After)); err != nil {
		return "", Span{}, err
	}
	m, others := w.pick(h.Holder)
	span.From = time.Now()
	heal, err := Named(h.Fault).Inject(ctx, m, others)
	if beside && errors.Is(err, errNotThere) {
		err = nil // another fault has left nothing to hurt
	}
	if err == nil {
		err = until(ctx, span.From.Add(h.Lasts))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wellTime)
	defer cancel()
	if heal != nil {
		err = errors.Join(err, heal(ctx))
	}
	if well := poll.Until(ctx, 100*time.Millisecond, m.CouldTake); well != nil {
		err = errors.Join(err, well)
	}
	span.To = time.Now()
	return m.Name, span, err
}

// pick is the machine that has the address, or another one, and the others. Where not just one has it, the first is as good as any.
func (w *Watch) pick(holder bool) (Machine, []Machine) {
	has, err := w.Holder()
	if err != nil {
		has = w.Machines[0]
	}
	i := slices.IndexFunc(w.Machines, func(m Machine) bool { return (m.Name == has.Name) == holder })
	return w.Machines[i], slices.Delete(slices.Clone(w.Machines), i, i+1)
}

func until(ctx context.Context, at time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(at)):
		return nil
	}
}
