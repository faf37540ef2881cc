package xray

import "fmt"

// A part is a kind of thing of which so many serve now and so many are needed.
type part struct {
	name     string // of the JSON field
	noun     string
	needed   int
	expected int      // how many there should be
	serving  []string // machines
	down     []string // machines, or members that are on none
	unseen   []string // of which it is not known
	missed   bool     // one of those should have been seen
	// unknown is why nothing is known of it; "" where something is. What lies outside
	// of what can be looked into, such as a cloud's load balancer, does not count.
	unknown string
	outside bool
	// uncounted are those that are down although they serve, and why: clients do not get there.
	uncounted []string
	// alone says of what a single one serves, and why no other takes over.
	alone string
	// spared are machines that have load balancers of their own beside these.
	spared []string
}

func (p part) tolerated() int { return len(p.serving) - p.needed }

func (p part) known() bool { return p.unknown == "" && len(p.unseen) == 0 }

// add counts one more of a part.
func (p *part) add(name string, s standing) {
	p.expected++
	switch s {
	case serves:
		p.serving = append(p.serving, name)
	case isDown:
		p.down = append(p.down, name)
	default:
		p.unseen = append(p.unseen, name)
	}
}

// A standing is whether something serves, as far as it was seen.
type standing int

const (
	notSeen standing = iota
	serves
	isDown
)

func standingOf(up bool) standing {
	if up {
		return serves
	}
	return isDown
}

// counted is 2 of 3 API servers, or 3 API servers where all serve.
func (p part) counted() string {
	if n := len(p.serving); n < p.expected {
		return fmt.Sprintf("%d of %s", n, plural(p.expected, p.noun))
	}
	return plural(p.expected, p.noun)
}

// gap is what is not known of a part.
func (p part) gap() string {
	if p.unknown != "" {
		return p.unknown
	}
	return fmt.Sprintf("it was not seen whether the %s of %s serves", p.noun, list(p.unseen))
}

func (p part) serveNow() string {
	text := p.counted() + " serving"
	if p.name == "etcdMembers" {
		text += fmt.Sprintf(", quorum %d", p.needed)
	}
	return text
}

// left says what may fail still.
func (p part) left() string {
	switch n := p.tolerated(); {
	case len(p.unseen) > 0:
		return "not asked: " + list(p.unseen)
	case n < 0:
		return "service has ended"
	case n == 0 && len(p.serving) == 1:
		return "the failure of " + p.serving[0] + " ends service"
	case n == 0:
		return "the failure of any of " + list(p.serving) + " ends service"
	default:
		return fmt.Sprintf("%d may fail", n)
	}
}
