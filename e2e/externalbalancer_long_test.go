//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/child"
)

// somewhere is where the load balancers of this test listen: on this host, outside of the machines' network.
const somewhere = "10.73.250.1"

// TestLongExternalBalancer brings a cluster up behind load balancers that haplane did not configure. The wrong ones are refused, each by a
// message of its own, and nothing relies on the cluster until one is right: the nginx of docs/load-balancer.md, and then its HAProxy.
func TestLongExternalBalancer(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-external", 58)
	before := lookAtHost(r)
	c.use(t, fmt.Sprintf("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: %s}\nspec:\n  network: {machineCIDR: %s}\n  loadBalancer: {kind: external, address: %s}\n",
		c.Name, c.Network, somewhere))
	if out, err := exec.CommandContext(background(t), "ip", "address", "add", somewhere+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stay := stayInside(t, c.Network.String())
	take := func() {
		_ = exec.Command("ip", "address", "del", somewhere+"/32", "dev", "lo").Run()
		stay()
	}
	t.Cleanup(take)
	lb := &theirs{t: t, dir: filepath.Join(c.Dir, "their-balancer"), cluster: c}
	if err := os.MkdirAll(lb.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lb.stop)

	t.Run("it ends TLS itself", func(t *testing.T) {
		lb.haproxy("bind "+somewhere+":6443", "bind "+somewhere+":6443 ssl crt "+lb.certificate(t), "check-ssl", "ssl")
		refused := must(t, 1, c.Up(background(t)))
		contains(t, "up", refused.Stderr, "lb-passes-tls", "CN=lb.example.com", "without a certificate of its own")
		contains(t, "what to set", refused.Stdout+refused.Stderr, "GET /readyz", c.address("cp-3")+":6443")
		if made := c.SSH(background(t), "cp-1", "true"); made.Code == 0 {
			t.Error("a machine was made")
		}
	})
	for _, wrong := range []struct {
		name      string
		otherwise []string
		check     string
		says      []string
	}{
		{"a server is missing", []string{"    server cp-3 " + c.address("cp-3") + ":6443\n", ""}, "lb-has-all", []string{"none led to cp-3", c.address("cp-3") + ":6443"}},
		{"a node does not reach itself", []string{"frontend kubernetes\n", "frontend kubernetes\n    tcp-request connection reject if { src " + c.address("cp-1") + " }\n"},
			"lb-from-nodes", []string{"from cp-1", c.address("cp-1") + ":6443"}},
		{"it asks whether a port is open, and tries nobody else", []string{"    option httpchk\n    http-check send meth GET uri /readyz\n    http-check expect status 200\n", "",
			"check check-ssl verify none", "check", "option redispatch 1\n    retries 3", "retries 0"}, "lb-lets-stop", []string{"GET /readyz"}},
		{"it ends what is idle for 10 s", []string{"5h", "10s"}, "lb-keeps-idle", []string{"nothing was sent", "4h"}},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			lb.haproxy(wrong.otherwise...)
			refused := must(t, 1, c.Up(background(t)))
			contains(t, "up", refused.Stderr, append(wrong.says, wrong.check)...)
			if wrong.check == "lb-keeps-idle" { // which is looked at beside what follows
				return
			}
			if kubelet := c.SSH(background(t), "worker-1", "systemctl is-active kubelet"); kubelet.Code == 0 {
				t.Error("a kubelet relies on it already")
			}
		})
	}
	t.Run("nginx", func(t *testing.T) {
		lb.nginx()
		up := must(t, 0, c.Up(background(t)))
		contains(t, "up", up.Stdout+up.Stderr, "warning: lb-heeds-readyz")
		c.checkBehindTheirs(t)
	})
	t.Run("HAProxy", func(t *testing.T) {
		lb.haproxy()
		c.checkBehindTheirs(t)
		file, err := os.ReadFile(c.File())
		if err != nil {
			t.Fatal(err)
		}
		flags := strings.Replace(string(file), "spec:\n", "spec:\n  extraArgs: {kube-apiserver: {max-requests-inflight: '401'}}\n", 1)
		if err := os.WriteFile(c.File(), []byte(flags), 0o600); err != nil {
			t.Fatal(err)
		}
		applied := must(t, 0, c.Run(background(t), "apply", "-f", c.File(), "--yes"))
		contains(t, "apply", applied.Stdout+applied.Stderr, "lb-restore@cp-3")
		c.checkBehindTheirs(t)
	})
	must(t, 0, c.Down(background(t)))
	lb.stop()
	take()
	before.left(t, lookAtHost(r))
}

// stayInside keeps what is sent to a network that is not there yet on this host: a load balancer that has servers in it would
// look for them behind the default route. What it returns takes that back.
func stayInside(t *testing.T, network string) (back func()) {
	t.Helper()
	rules := [][]string{{"pref", "5801", "to", network, "lookup", "main", "suppress_prefixlength", "0"}, {"pref", "5802", "to", network, "unreachable"}}
	change := func(verb string, rule []string) ([]byte, error) {
		return exec.Command("ip", append([]string{"rule", verb}, rule...)...).CombinedOutput()
	}
	back = func() {
		for _, r := range rules {
			_, _ = change("del", r)
		}
	}
	back() // what a run that was killed has left
	for _, r := range rules {
		if out, err := change("add", r); err != nil {
			back()
			t.Fatalf("%v: %s", err, out)
		}
	}
	return back
}

// checkBehindTheirs looks at what status and x-ray say of a load balancer that is not haplane's, and asks the API from a node's point of view.
func (c *cluster) checkBehindTheirs(t *testing.T) {
	t.Helper()
	wait(t, time.Minute, "all API servers behind it", func(ctx context.Context) error {
		status := c.Run(ctx, "status", "--cluster", c.Name, "-o", "json")
		for _, part := range []string{`"external": true`, `"endpointReady": true`} {
			if !strings.Contains(status.Stdout, part) {
				return fmt.Errorf("status lacks %s", part)
			}
		}
		if strings.Contains(status.Stdout, `"up": false`) || strings.Contains(status.Stdout, "lb-") {
			return fmt.Errorf("status: %s", status.Stdout)
		}
		return nil
	})
	contains(t, "x-ray", c.Run(background(t), "xray", "--cluster", c.Name).Stdout, "the load balancer at "+somewhere+":6443 is somebody else's, and was not looked into")
	if api := must(t, 0, c.Kubectl(background(t), "get", "--raw", "/readyz")); api.Stdout != "ok" {
		t.Errorf("/readyz: %s", api.Stdout)
	}
}

// A theirs is a load balancer that haplane knows nothing of but where it is.
type theirs struct {
	t       *testing.T
	dir     string
	cluster *cluster
	running *exec.Cmd
}

// documented is the configuration in docs/load-balancer.md that begins so, at this test's addresses.
func (b *theirs) documented(begins string) string {
	b.t.Helper()
	text, err := os.ReadFile("../docs/load-balancer.md")
	if err != nil {
		b.t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "\n```\n"+begins+"\n")
	block, _, ends := strings.Cut(block, "\n```\n")
	if !found || !ends {
		b.t.Fatalf("docs/load-balancer.md has no configuration that begins with %q", begins)
	}
	addresses := []string{"10.20.0.5", somewhere}
	for i, node := range controlPlane {
		addresses = append(addresses, fmt.Sprintf("10.10.10.%d:", 11+i), b.cluster.address(node)+":")
	}
	return begins + "\n" + strings.NewReplacer(addresses...).Replace(block) + "\n"
}

// haproxy runs the one of the documentation, with what is otherwise: parts of it, each followed by what is there instead.
func (b *theirs) haproxy(otherwise ...string) {
	b.t.Helper()
	text := b.documented("defaults")
	for i := 0; i < len(otherwise); i += 2 {
		if !strings.Contains(text, otherwise[i]) {
			b.t.Fatalf("no %q in\n%s", otherwise[i], text)
		}
		text = strings.ReplaceAll(text, otherwise[i], otherwise[i+1])
	}
	b.start("haproxy.cfg", text, func(file string) []string { return []string{"haproxy", "-db", "-f", file} })
}

func (b *theirs) nginx() {
	b.t.Helper()
	root := b.unpackNginx()
	text := fmt.Sprintf("daemon off;\nmaster_process off;\npid %[1]s/nginx.pid;\nerror_log stderr;\nload_module %[2]s/usr/lib/nginx/modules/ngx_stream_module.so;\nevents {}\n", b.dir, root) + b.documented("stream {")
	b.start("nginx.conf", text, func(file string) []string {
		return []string{filepath.Join(root, "usr/sbin/nginx"), "-p", b.dir, "-c", file}
	})
}

// unpackNginx gets Debian's nginx without installing it, which would start one on this host.
func (b *theirs) unpackNginx() string {
	b.t.Helper()
	root := filepath.Join(b.dir, "root")
	cmd := exec.CommandContext(background(b.t), "sh", "-ec", `mkdir -p "$1" && cd "$1" && apt-get download -qq nginx libnginx-mod-stream && for p in *.deb; do dpkg -x "$p" .; done`, "sh", root)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("get nginx: %v\n%s", err, out)
	}
	return root
}

// start runs a load balancer in the place of the one that runs.
func (b *theirs) start(name, text string, argv func(file string) []string) {
	b.t.Helper()
	b.stop()
	dial := func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", somewhere+":6443")
		if err != nil {
			return err
		}
		return conn.Close()
	}
	if dial(background(b.t)) == nil {
		b.t.Fatalf("somebody else listens on %s:6443", somewhere)
	}
	file := filepath.Join(b.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	line := argv(file)
	b.running = exec.Command(line[0], line[1:]...)
	log, err := os.Create(file + ".log")
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.running.Stdout, b.running.Stderr = log, log
	if err := child.Start(b.running, syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	wait(b.t, 10*time.Second, "a load balancer that listens", func(ctx context.Context) error {
		if err := dial(ctx); err != nil {
			out, _ := os.ReadFile(file + ".log")
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

func (b *theirs) stop() {
	if b.running != nil {
		_ = b.running.Process.Kill()
		_ = b.running.Wait()
		b.running = nil
	}
}

// certificate makes one of the load balancer's own, which nobody of the cluster knows.
func (b *theirs) certificate(t *testing.T) string {
	t.Helper()
	file := filepath.Join(b.dir, "own.pem")
	out, err := exec.CommandContext(background(t), "sh", "-ec", `umask 077; openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.crt" -days 2 -subj /CN=lb.example.com -addext subjectAltName=IP:`+somewhere+` 2>&1 && cat "$1.crt" "$1.key" > "$1"`, "sh", file).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return file
}
