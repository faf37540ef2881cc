package collect

import (
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// A survey is what runs on a machine.
type survey struct {
	hostname, user string
	addresses      []netip.Addr
	interfaces     []string
	tools          []string
	sockets        string
	listening      []netip.AddrPort
	led            []evidence.Lead
	states         []parse.UnitState
	groups, exes   map[int]string // by process
	commands       map[int][]string
}

// take takes what a section says.
func (s *survey) take(part section) {
	switch part.title {
	case "host":
		s.hostname = strings.TrimSpace(part.body)
	case "user":
		s.user = strings.TrimSpace(part.body)
	case "addresses":
		s.addresses, s.interfaces = parse.Addresses(part.body), parse.Interfaces(part.body)
	case "tools":
		s.tools = strings.Fields(part.body)
	case "sockets":
		s.sockets += part.body
		s.listening = append([]netip.AddrPort{}, parse.Listening(s.sockets)...)
	case "led":
		s.led = parse.Led(part.body)
	case "units":
		s.states = once(parse.UnitStates(part.body))
	case "groups":
		for line := range strings.Lines(part.body) {
			pid, group, _ := strings.Cut(strings.TrimSpace(line), " ")
			if n, err := strconv.Atoi(pid); err == nil {
				s.groups[n] = group
			}
		}
	case "stat":
		for _, f := range parse.FileStats(part.body) {
			if path.Base(f.Path) == "exe" && strings.HasPrefix(f.Path, "//") { // of /proc: those of others begin with one /
				pid, _ := strconv.Atoi(path.Base(path.Dir(f.Path)))
				s.exes[pid] = f.ID
			}
		}
	case "processes":
		s.commands = commands(part.body)
	}
}

// once leaves of units that were asked for twice the first.
func once(all []parse.UnitState) []parse.UnitState {
	var out []parse.UnitState
	for _, u := range all {
		if !slices.ContainsFunc(out, func(o parse.UnitState) bool { return o.Name == u.Name }) {
			out = append(out, u)
		}
	}
	return out
}

// A command line begins with what head prints before each of several files. Line
// ends and the NULs between arguments have changed places: see machines.sh.
var commandHeader = regexp.MustCompile(`(?:^|\x01|\n)==> \S*/(\d+)/cmdline <==\x01`)

func commands(text string) map[int][]string {
	out := map[int][]string{}
	starts := commandHeader.FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		pid, err := strconv.Atoi(text[at[2]:at[3]])
		if err != nil {
			continue
		}
		line := strings.TrimSuffix(strings.TrimSuffix(text[at[1]:end], "\x01"), "\n")
		out[pid] = strings.Split(strings.NewReplacer("\n", "\x00", "\x01", "\n").Replace(line), "\x00")
	}
	return out
}

// processes are those of programs of a cluster, in the order of their IDs.
func (s *survey) processes() []process {
	var out []process
	for pid, argv := range s.commands {
		name, argv := parse.Process(argv)
		if name == "" {
			continue
		}
		p := process{pid: pid, name: name, argv: argv, exe: s.exes[pid], pod: s.groups[pid] == "pod", box: s.groups[pid] == "container"}
		if strings.HasSuffix(s.groups[pid], ".service") {
			p.unit = s.groups[pid]
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b process) int { return a.pid - b.pid })
	return out
}

// clockOf compares a machine's clock with ours. It was read after the question was sent,
// and before the answer began to come.
func clockOf(text string, sent, came time.Time) *evidence.Clock {
	read, precision, err := stamp(strings.TrimSpace(text))
	if err != nil {
		return nil
	}
	slack := came.Sub(sent)
	return &evidence.Clock{Ahead: read.Sub(sent) - slack/2 + precision/2, Uncertainty: slack/2 + precision/2}
}

// stamp reads what date +%s.%N prints; some know no %N.
func stamp(text string) (t time.Time, precision time.Duration, err error) {
	seconds, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, 0, err
	}
	nanos, err := strconv.ParseInt(fraction, 10, 64)
	if err != nil || len(fraction) != 9 {
		return time.Unix(n, 0), time.Second, nil
	}
	return time.Unix(n, nanos), 0, nil
}
