package apply

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/topology"
)

// noEtcdOutsiders names who is connected to etcd's client port from a place that is no machine of the cluster: etcd tells
// of no client, but the kernel of its connections. What comes and goes at once is not seen; haplane's own do.
func (r *Runner) noEtcdOutsiders(ctx context.Context) error {
	ours := map[netip.Addr]bool{}
	for _, n := range r.Nodes {
		for _, a := range n.Addresses {
			ours[a] = true
		}
	}
	return each(r.Cluster.Topology.EtcdMembers(), func(n topology.Node) []string {
		cmd := machine.Cmd("sh", "-s")
		cmd.Stdin = strings.NewReader(connectionsScript)
		result, err := r.Cluster.Machine(n.Name).Run(ctx, cmd)
		if err != nil {
			return []string{fmt.Sprintf("%s: look for clients of etcd: %v", n.Name, err)}
		}
		var what []string
		for _, c := range lasting(result.Stdout, topology.EtcdClientPort) {
			if from := c.Addr(); !ours[from] && !from.IsLoopback() {
				what = append(what, fmt.Sprintf("%s: a client at %s, no machine of the cluster, is connected to etcd: it has to trust the next authority, and to have a certificate of it", n.Name, from))
			}
		}
		return what
	})
}

// connectionsScript prints the kernel's table of connections, and a second later once more.
const connectionsScript = `cat /proc/net/tcp /proc/net/tcp6 2>/dev/null
sleep 1
echo again
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null
:
`

// lasting are who is connected to a port in both tables.
func lasting(tables string, port uint16) []netip.AddrPort {
	first, again, _ := strings.Cut(tables, "\nagain\n")
	then := connected(again, port)
	return slices.DeleteFunc(connected(first, port), func(c netip.AddrPort) bool { return !slices.Contains(then, c) })
}

// connected are who has a connection to a port, by the kernel's table: SLOT LOCAL REMOTE STATE, addresses as words of the
// machine's byte order in hexadecimal, of which all that haplane runs on is little-endian (proc(5)).
func connected(table string, port uint16) []netip.AddrPort {
	const established = "01"
	var out []netip.AddrPort
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != established {
			continue
		}
		local, ok := endpoint(fields[1])
		remote, known := endpoint(fields[2])
		if ok && known && local.Port() == port {
			out = append(out, remote)
		}
	}
	return out
}

func endpoint(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(host)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(words)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(words); i += 4 {
		binary.BigEndian.PutUint32(words[i:], binary.LittleEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), ok
}
