package evidence

import (
	"net/netip"
	"time"
)

// Programs that move an address from a machine that died to another.
const (
	KeepalivedProgram = "keepalived"
	KubeVIP           = "kube-vip"
)

// NoSuchFile is the error of a configuration that is not there.
const NoSuchFile = "no such file"

// Keepalived is what keepalived is configured to move, without its passwords.
type Keepalived struct {
	Path      string
	Err       string // why it could not be read
	Instances []VRRP
	Notes     []string // what of its configuration was not looked at
	Strangers string   // what it has said last, in ten minutes, of VRRP that none of its peers has sent
}

// A VRRP instance moves addresses together.
type VRRP struct {
	Name      string
	State     string // MASTER or BACKUP, at the start; "" is BACKUP
	Interface string // "" where it is not said
	RouterID  int
	Priority  int
	Version   int
	Interval  time.Duration // of advertisements
	Auth      string        // PASS or AH; "" is none
	Addresses []netip.Addr
	Peers     []netip.Addr // of unicast; nil for multicast
	Source    netip.Addr   // of unicast; invalid where it is not said
	Tracks    []Track
	// Undefined are names of scripts and processes that it tracks and that are nowhere defined.
	Undefined []string
}

// A Track is a script or process that an instance watches. With weight 0 the instance gives its
// addresses away when it fails; a negative weight is taken off its priority then, a positive one
// is added while it does not fail.
type Track struct {
	Name   string
	Weight int
}

// Has tells whether an instance moves an address.
func (v VRRP) Has(a netip.Addr) bool {
	for _, x := range v.Addresses {
		if x == a {
			return true
		}
	}
	return false
}
