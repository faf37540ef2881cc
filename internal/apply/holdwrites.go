package apply

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// holdScript stops the process of a unit and says so. It goes on when the input ends, and after the seconds of
// the second argument at the latest: whatever becomes of this program, the connection and the script itself.
const holdScript = `pid=$(systemctl show --property=MainPID --value "$1")
[ "${pid:-0}" -gt 1 ] || { echo held; exit 0; }
trap 'kill -CONT "$pid"' EXIT
trap 'exit 1' HUP INT TERM
(trap '' HUP INT TERM; sleep "$2"; kill -CONT "$pid") </dev/null >/dev/null 2>&1 &
kill -STOP "$pid" && echo held
exec 3<&0
timeout "$2" cat <&3 >/dev/null &
wait "$!"
exit 0`

// Times of a hold: its longest, that of a machine that is slow to begin, and that between the first and the last.
const (
	holdSeconds   = "2"
	holdTimeout   = 2 * time.Second
	holdDeviation = 300 * time.Millisecond
)

const apiServerUnit = "kube-apiserver.service"

// writers are the nodes that may run an API server now, also those that leave.
func (r *Runner) writers() []topology.Node {
	var out []topology.Node
	for _, n := range r.Nodes {
		if _, running, err := r.Provider.Status(n); n.Role == spec.RoleControlPlane && (err != nil || running) {
			out = append(out, n)
		}
	}
	return out
}

// holdWrites stops all API servers for the moment in which etcd takes no writes, until release is called. Requests
// wait so long in their connections; else those that write at that moment would fail. An API server that
// cannot be held goes on, and so does all after two seconds.
func (r *Runner) holdWrites(ctx context.Context) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	began := make(chan string)
	var inputs []*io.PipeWriter
	nodes := r.writers()
	for _, n := range nodes {
		input, end := io.Pipe()
		inputs = append(inputs, end)
		running.Go(func() {
			said := sync.OnceFunc(func() {
				select {
				case began <- n.Name:
				case <-ctx.Done():
				}
			})
			defer said()
			argv := []string{"sh", "-c", holdScript, "sh", apiServerUnit, holdSeconds}
			_, err := r.Cluster.Machine(n.Name).Run(ctx, machine.Command{Argv: argv, Stdin: input, Stdout: heldWriter{said}})
			_ = input.Close()
			r.Log.Debug("held an API server while etcd's leader moves", "node", n.Name, "err", err)
		})
	}
	latest := time.NewTimer(holdTimeout)
	defer latest.Stop()
	for i := range nodes {
		select {
		case <-began:
			if i == 0 {
				latest.Reset(holdDeviation)
			}
			continue
		case <-latest.C:
		case <-ctx.Done():
		}
		break
	}
	return func() {
		for _, end := range inputs {
			_ = end.Close()
		}
		go func() {
			running.Wait()
			cancel()
		}()
	}
}

// A heldWriter calls a function when a machine says that it holds.
type heldWriter struct{ said func() }

func (w heldWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "held") {
		go w.said()
	}
	return len(p), nil
}
