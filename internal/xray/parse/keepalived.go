package parse

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// keepalived's defaults of an instance.
const (
	vrrpPriority = 100
	vrrpVersion  = 2
	vrrpInterval = time.Second
)

// Keepalived reads a configuration as the machine of a name has it: lines that begin with
// @NAME are for machines of that name alone. Included files are in the text already; those
// that are not are in Notes.
func Keepalived(path, text, machine string) *evidence.Keepalived {
	out := &evidence.Keepalived{Path: path}
	file := index(statements(text, machine))
	for _, d := range file["include"] {
		out.Notes = append(out.Notes, fmt.Sprintf("%s is included and was not read", d.arg()))
	}
	defined := map[string]int{} // weights by name
	for _, kind := range []string{"vrrp_script", "vrrp_track_process", "vrrp_track_file", "track_process", "track_file"} {
		for _, d := range file[kind] {
			defined[d.arg()] = weight(index(d.block))
		}
	}
	version := settingInt(file.first("global_defs"), "vrrp_version", vrrpVersion)
	for _, d := range file["vrrp_instance"] {
		v := instance(d, version)
		v.track(index(d.block), defined)
		for _, group := range file["vrrp_sync_group"] {
			inside := index(group.block)
			if slices.ContainsFunc(inside["group"], func(g directive) bool { return g.lists(v.Name) }) {
				v.track(inside, defined)
			}
		}
		out.Instances = append(out.Instances, v.VRRP)
	}
	return out
}

// A vrrp instance while it is read.
type vrrp struct{ evidence.VRRP }

func instance(d directive, version int) vrrp {
	in := index(d.block)
	text := func(name string) string { out, _ := in.setting(name); return out }
	out := evidence.VRRP{Name: d.arg(), State: text("state"), Interface: text("interface"), Auth: strings.ToUpper(firstOf(in.first("authentication"), "auth_type")),
		RouterID: settingInt(in, "virtual_router_id", 0), Priority: settingInt(in, "priority", vrrpPriority), Version: settingInt(in, "version", version), Interval: vrrpInterval}
	if seconds, err := strconv.ParseFloat(text("advert_int"), 64); err == nil && seconds > 0 && seconds < 3600 {
		out.Interval = time.Duration(seconds * float64(time.Second))
	}
	for _, name := range []string{"virtual_ipaddress", "virtual_ipaddress_excluded"} {
		out.Addresses = append(out.Addresses, listed(in, name)...)
	}
	out.Peers = listed(in, "unicast_peer")
	if len(in["unicast_peer"]) > 0 && out.Peers == nil {
		out.Peers = []netip.Addr{}
	}
	out.Source, _ = netip.ParseAddr(text("unicast_src_ip"))
	return vrrp{out}
}

// listed are the addresses in a block, one of them a line, with what follows passed over.
func listed(in block, name string) []netip.Addr {
	var out []netip.Addr
	for _, d := range in[name] {
		for _, line := range d.block {
			text, _, _ := strings.Cut(line.name(), "/")
			if a, err := netip.ParseAddr(text); err == nil {
				out = append(out, a.Unmap())
			}
		}
	}
	return out
}

// track adds what an instance, or its group, watches. A weight of its own goes before that of the script.
func (v *vrrp) track(in block, defined map[string]int) {
	for _, name := range []string{"track_script", "track_process", "track_file"} {
		for _, d := range in[name] {
			for _, line := range d.block {
				w, ok := defined[line.name()]
				if own := after(line.words, "weight"); own != "" {
					w, _ = strconv.Atoi(own)
				}
				if ok {
					v.Tracks = append(v.Tracks, evidence.Track{Name: line.name(), Weight: w})
				} else {
					v.Undefined = append(v.Undefined, line.name())
				}
			}
		}
	}
}

func weight(in block) int { return settingInt(in, "weight", 0) }

func settingInt(in block, name string, otherwise int) int {
	text, _ := in.setting(name)
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}

func firstOf(in block, name string) string {
	text, _ := in.setting(name)
	return text
}

// first is what is in the first block of a name.
func (b block) first(name string) block {
	for _, d := range b[name] {
		return index(d.block)
	}
	return block{}
}

// lists tells whether a name is in a block, on a line of its own or with others.
func (d directive) lists(name string) bool {
	return slices.ContainsFunc(d.block, func(x directive) bool { return slices.Contains(x.words, name) })
}
