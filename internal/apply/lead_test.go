package apply

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A worker with a load balancer of its own, the one that all clients reach, and a pod, in networks of their own.
type leadWorld struct{ worker, front, pod *drainHost }

func newLeadWorld(t *testing.T) *leadWorld {
	t.Helper()
	needsNft(t)
	c, err := spec.Parse("f.yaml", []byte(`apiVersion: haplane/v1alpha1
kind: Cluster
spec:
  loadBalancer: {nodeLocal: true, additionalPorts: [8443]}
  network: {machineCIDR: "10.10.10.0/24,fd00:10:10:10::/64"}
  nodes: [{role: control-plane}, {role: worker}]
`))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(c)
	w := &leadWorld{newNetwork(t), newNetwork(t), newNetwork(t)}
	for script, f := range render.Render(render.Input{Topology: topo})["worker-1"].Files.Under("/usr/local/lib/haplane/lead-to-local") {
		w.worker.dir += "/" + script[strings.LastIndex(script, "/")+1:]
		if err := os.WriteFile(w.worker.dir, f.Data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, other := range map[string]*drainHost{"eth0": w.front, "cni0": w.pod} {
		w.worker.sh(t, `ip link add name "$1" type veth peer name eth0 netns "$2"; ip link set "$1" up`, link, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), other.network))
		other.sh(t, "ip link set eth0 up")
	}
	// kube-proxy's part: the Service has one endpoint, the load balancer.
	w.worker.sh(t, `echo 1 >/proc/sys/net/ipv4/ip_forward
ip address add 10.10.10.21/24 dev eth0; ip address add fd00:10:10:10::21/64 dev eth0 nodad; ip address add 10.244.0.1/24 dev cni0; ip route add default via 10.10.10.1
nft -f - <<END
table ip6 kube-proxy {
	chain lead { ip6 daddr fd00:10:96::1 tcp dport 443 dnat to [fd00:10:10:10::3]:6443; }
	chain prerouting { type nat hook prerouting priority -100; jump lead; }
	chain output { type nat hook output priority -100; jump lead; }
}
table ip kube-proxy {
	chain lead { ip daddr 10.96.0.1 tcp dport 443 dnat to 10.10.10.3:6443; }
	chain prerouting { type nat hook prerouting priority -100; jump lead; }
	chain output { type nat hook output priority -100; jump lead; }
}
END`)
	w.front.sh(t, "ip address add 10.10.10.3/24 dev eth0; ip address add fd00:10:10:10::3/64 dev eth0 nodad; ip route add default via 10.10.10.21")
	w.pod.sh(t, "ip address add 10.244.0.2/24 dev eth0; ip route add default via 10.244.0.1")
	return w
}

func (w *leadWorld) lead(t *testing.T, what string) {
	t.Helper()
	w.worker.sh(t, "exec "+w.worker.dir+" "+what)
}

// led are the ways to the API that are led to the worker's own, each with where it listens there, and in front.
func (w *leadWorld) led() []struct {
	from               *drainHost
	to, local, inFront string
} {
	const local4, local6 = "10.10.10.21:7445", "[fd00:10:10:10::21]:7445"
	return []struct {
		from               *drainHost
		to, local, inFront string
	}{
		{w.worker, "10.10.10.3:6443", local4, "10.10.10.3:6443"},
		{w.worker, "10.10.10.3:8443", local4, "10.10.10.3:8443"},
		{w.worker, "10.96.0.1:443", local4, "10.10.10.3:6443"},
		{w.worker, "[fd00:10:10:10::3]:6443", local6, "[fd00:10:10:10::3]:6443"},
		{w.pod, "10.10.10.3:6443", local4, "10.10.10.3:6443"},
		{w.pod, "10.96.0.1:443", local4, "10.10.10.3:6443"},
	}
}

// New connections of the worker and its pods are led, whatever kube-proxy says of the Service, and what is open stays where it is: when that
// begins, and when it ends.
func TestLeadMovesNothingThatIsOpen(t *testing.T) {
	w := newLeadWorld(t)
	var before, meanwhile []conversation
	for _, way := range w.led() {
		before = append(before, connect(t, way.from, 0, w.front, way.inFront, way.to))
	}
	w.lead(t, "in")
	w.lead(t, "in")
	for _, way := range w.led() {
		meanwhile = append(meanwhile, connect(t, way.from, 0, w.worker, way.local, way.to))
	}
	connect(t, w.worker, 0, w.front, "10.10.10.3:2222", "10.10.10.3:2222").answers(t)
	for i := range before {
		before[i].answers(t)
		meanwhile[i].answers(t)
	}
	w.lead(t, "gone")
	w.lead(t, "gone")
	for i, way := range w.led() {
		connect(t, way.from, 0, w.front, way.inFront, way.to).answers(t)
		before[i].answers(t)
		meanwhile[i].answers(t)
	}
}

// Before it stops, those go that wait for no answer, and those that do get it.
func TestLeadEndsWhenNobodyWaits(t *testing.T) {
	w := newLeadWorld(t)
	w.lead(t, "in")
	for _, way := range w.led() {
		quiet, asks := connect(t, way.from, 0, w.worker, way.local, way.to), connect(t, way.from, 0, w.worker, way.local, way.to)
		time.Sleep(20 * time.Millisecond) // the kernel counts in some milliseconds
		send(t, quiet.client, quiet.server)
		send(t, asks.client, asks.server)
		time.Sleep(20 * time.Millisecond)
		send(t, quiet.server, quiet.client)
		time.AfterFunc(time.Second, func() {
			_, _ = asks.server.Write([]byte("x"))
			_ = asks.server.Close()
		})
		w.lead(t, "out")
		if !quiet.isReset(t) {
			t.Errorf("%s: who waits for no answer is not reset", way.to)
		}
		if _, err := asks.client.Read(make([]byte, 1)); err != nil {
			t.Errorf("%s: who waits for an answer: %v", way.to, err)
		}
		w.lead(t, "in")
	}
}

// Nobody reaches the API through a worker's own load balancer but by what it leads there.
func TestLeadLetsNobodyElseIn(t *testing.T) {
	w := newLeadWorld(t)
	w.worker.enter(t)
	listener, err := net.Listen("tcp", "10.10.10.21:7445")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, led := range []bool{false, true} {
		if led {
			w.lead(t, "in")
		}
		for name, from := range map[string]*drainHost{"the worker": w.worker, "a pod": w.pod, "another machine": w.front} {
			from.enter(t)
			conn, err := net.DialTimeout("tcp", "10.10.10.21:7445", 20*time.Second)
			if err == nil {
				conn.Close()
			}
			if (err != nil) != led {
				t.Errorf("rules: %v; %s: %v", led, name, err)
			}
		}
	}
}
