package collect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// A shell is a machine whose commands run here, with other programs first in the path.
type shell struct {
	name, bin string
	printed   bytes.Buffer
}

func (s *shell) Name() string { return s.name }
func (s *shell) Upload(context.Context, fileset.Set) error {
	return errors.New("nothing is to be uploaded")
}
func (s *shell) Stat(context.Context, []string) (map[string]fileset.State, error) {
	return nil, errors.New("one session is enough")
}

func (s *shell) Run(ctx context.Context, cmd machine.Command) (machine.Result, error) {
	c := exec.CommandContext(ctx, cmd.Argv[0], cmd.Argv[1:]...)
	c.Env = append(os.Environ(), "PATH="+s.bin+":"+os.Getenv("PATH"))
	c.WaitDelay = 100 * time.Millisecond
	var out bytes.Buffer
	c.Stdin, c.Stdout = cmd.Stdin, &out
	if cmd.Stdout != nil {
		c.Stdout = io.MultiWriter(&out, cmd.Stdout)
	}
	err := c.Run()
	s.printed.Write(out.Bytes())
	return machine.Result{Stdout: out.String()}, err
}

// visited looks at a machine that is a tree of files.
func visited(t *testing.T, f tree, m *evidence.Machine) (*evidence.Machine, []evidence.Missing, *shell) {
	t.Helper()
	s := &shell{name: m.Name, bin: f.running(m)}
	network := newServiceNetwork(2)
	network.tell(netip.MustParseAddr(evidencetest.ServiceIP)) // by another machine
	v := &visit{machine: s, root: f.dir, proc: filepath.Join(f.dir, "proc"), files: newRemote(), network: network}
	out, missing := v.look(t.Context(), 10*time.Second)
	return out, missing, s
}

// alike compares evidence as far as a tree of files shows it.
var alike = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}),
	cmpopts.EquateEmpty(),
	cmpopts.IgnoreFields(evidence.Machine{}, "Clock"),
	cmpopts.IgnoreFields(evidence.Program{}, "Version"),
	cmpopts.IgnoreFields(evidence.File{}, "Size", "Digest", "Owner", "Group"),
	cmpopts.IgnoreFields(evidence.Request{}, "Took", "Answer"),
	cmpopts.SortSlices(func(a, b evidence.Program) bool { return a.Name < b.Name }),
	cmpopts.SortSlices(netip.AddrPort.Compare),
	cmp.Comparer(func(a, b evidence.Certificate) bool { return a.Fingerprint() == b.Fingerprint() && a.Err == b.Err }),
}

// asSeen changes what the fixture has otherwise than any machine.
func asSeen(m *evidence.Machine) {
	for i := range m.Programs {
		p := &m.Programs[i]
		if p.Name == evidence.EtcdServer { // redacted: it says nothing about the cluster
			if _, ok := p.Flag("initial-cluster-token"); ok {
				swap(p.Argv)
				swap(p.Unit.Exec)
			}
		}
		if p.Name == evidence.KubeProxy && p.Unit == nil { // of a DaemonSet
			p.StopTimeout = 0
		}
		if file, ok := p.Flag("config"); ok && p.Config != nil {
			m.Files[file] = evidence.File{Path: file, Mode: 0o644}
		}
	}
}

func swap(argv []string) {
	for i := range argv {
		if strings.HasPrefix(argv[i], "--initial-cluster-token=") {
			argv[i] = "--initial-cluster-token=REDACTED"
		}
	}
}

func TestMachineIsWhatItsFilesAndProcessesSay(t *testing.T) {
	tests := map[string]struct {
		cluster *evidence.Evidence
		machine string
	}{
		"control plane":  {evidencetest.Healthy(spec.Shared), "cp-1"},
		"k0s controller": {evidencetest.K0s(), "cp-1"}, "k0s worker": {evidencetest.K0s(), "worker-1"},
		"k3s server":    {evidencetest.K3s(), "cp-3"},
		"worker":        {evidencetest.Healthy(spec.PerNode), "worker-1"},
		"load balancer": {evidencetest.Healthy(spec.Shared), "lb-1"}, "worker with its own": {evidencetest.NodeLocal(spec.Shared), "worker-1"},
		"kubeadm": {evidencetest.Kubeadm(), "cp-2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := evidencetest.Machine(test.cluster, test.machine)
			f := newTree(t)
			f.machine(want)
			got, missing, s := visited(t, f, want)
			asSeen(want)
			if diff := cmp.Diff(want, got, alike); diff != "" {
				t.Error(diff)
			}
			if len(missing) > 0 {
				t.Errorf("missing: %+v", missing)
			}
			if strings.Contains(s.printed.String(), plantedKey) {
				t.Error("a secret left the machine")
			}
			if got.Clock == nil || got.Clock.Ahead.Abs() > got.Clock.Uncertainty {
				t.Errorf("clock %+v, which is our own", got.Clock)
			}
		})
	}
}

// What a member, an API server and HAProxy are asked has nothing of a key but its path.
func TestRequestsNameKeysAndChangeNothing(t *testing.T) {
	m := evidencetest.Machine(evidencetest.Healthy(spec.Shared), "cp-1")
	f := newTree(t)
	f.machine(m)
	visited(t, f, m)
	data, err := os.ReadFile(filepath.Join(f.dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	asked := string(data)
	for _, part := range []string{"https://127.0.0.1:2379/v3/maintenance/status", `{"action":"GET"}`, "--key /etc/kubernetes/pki/apiserver-etcd-client.key",
		"--connect-to kubernetes.default:6443:127.0.0.1:6443", "https://10.10.10.3:6443/readyz", "https://10.96.0.1:443/readyz", "--cacert /etc/kubernetes/pki/ca.crt"} {
		if !strings.Contains(asked, part) {
			t.Errorf("not asked with %s:\n%s", part, asked)
		}
	}
	if strings.Contains(asked, "--insecure") || strings.Contains(asked, plantedKey) {
		t.Errorf("asked without care:\n%s", asked)
	}
}
