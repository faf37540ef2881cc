package outside

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/machine"
)

// triesOfNode is how many connections a node makes at once: of three servers behind a load balancer that chooses at random, one
// that the node does not reach is missed by all of them once in 17,000 times.
const triesOfNode = 24

// nodeTimeout bounds each of them: so many at once take their time where machines are busy.
const nodeTimeout = 10 * time.Second

//go:embed nodes.sh
var nodesScript string

// FromNode has a machine open new connections through the load balancer, as its pods and programs do. A node that is behind it
// itself has to reach itself too: what leads back to where it came from is lost where the load balancer keeps the
// client's address and does not see the answers. The finding is nil where all connections got through; the error is about looking.
func (b *Balancer) FromNode(ctx context.Context, m machine.Machine, ca []byte) (*Finding, error) {
	var failed []string
	for _, place := range b.Places {
		host := place.Addr().String()
		url := "https://" + net.JoinHostPort(host, strconv.Itoa(int(place.Port()))) + "/readyz"
		cmd := machine.Cmd("sh", "-c", nodesScript, "sh", url, strconv.Itoa(triesOfNode), strconv.Itoa(int(nodeTimeout.Seconds())))
		cmd.Stdin = strings.NewReader(string(ca))
		result, err := m.Run(ctx, cmd)
		if err != nil {
			return nil, err
		}
		if n, why := failedOnNode(result.Stdout); n > 0 {
			failed = append(failed, fmt.Sprintf("%d of %d new connections to %s failed (%s)", n, triesOfNode, place, why))
		}
	}
	if len(failed) == 0 {
		return nil, nil
	}
	saw := fmt.Sprintf("from %s %s", m.Name(), strings.Join(failed, ", "))
	set := "let every machine of the cluster reach it"
	for _, s := range b.Servers {
		if s.Node == m.Name() {
			set += fmt.Sprintf(", and let it lead a connection from %s to %s itself too: where it keeps the client's address, turn that off, or translate the address", s.Node, s.Address)
		}
	}
	return &Finding{FromNodes, saw, set}, nil
}

// took is how long curl waited, which differs each time.
var took = regexp.MustCompile(` after \d+ (ms|milliseconds)`)

// failedOnNode counts the lines that the script printed, one for each connection that failed.
func failedOnNode(text string) (n int, why string) {
	seen := map[string]int{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			n++
			seen[took.ReplaceAllString(strings.TrimPrefix(line, "curl: "), "")]++
		}
	}
	return n, reasons(seen)
}
