package collect

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// within is a tree in a folder of a tree.
func (f tree) within(name string) tree { return tree{f.t, filepath.Join(f.dir, name)} }

func TestFolderIsWhatItsFilesSay(t *testing.T) {
	clusters := map[string]*evidence.Evidence{
		"units": evidencetest.Folder(evidencetest.Healthy(spec.Shared)), "static pods": evidencetest.Folder(evidencetest.Kubeadm()),
	}
	for name, e := range clusters {
		t.Run(name, func(t *testing.T) {
			f := newTree(t)
			for _, m := range e.Machines {
				f.within(m.Name).machine(m)
				f.within(m.Name).write("/etc/hostname", 0o644, m.Hostname+"\n")
				asSeen(m)
				m.Programs = slices.DeleteFunc(m.Programs, func(p evidence.Program) bool { return p.Name == evidence.KubeProxy && p.Unit == nil })
			}
			f.write("README", 0o644, "not a machine")
			got, missing := Folder(f.dir)
			slices.SortFunc(e.Machines, func(a, b *evidence.Machine) int { return strings.Compare(a.Name, b.Name) })
			if diff := cmp.Diff(e.Machines, got, alike); diff != "" {
				t.Error(diff)
			}
			if len(missing) > 0 {
				t.Errorf("missing: %+v", missing)
			}
		})
	}
}

func TestFolderMayBeOneMachine(t *testing.T) {
	m := evidencetest.Machine(evidencetest.Kubeadm(), "cp-1")
	f := newTree(t)
	f.machine(m)
	for _, dir := range []string{f.dir, filepath.Join(f.dir, "etc/kubernetes")} {
		got, _ := Folder(dir)
		if len(got) != 1 || got[0].Name != filepath.Base(dir) || got[0].Hostname != "cp-1" || got[0].Program(evidence.APIServer) == nil ||
			got[0].Certificate(evidencetest.ServingCert) == nil {
			t.Errorf("%s: %+v", dir, got)
		}
	}
}

// haplane render writes the objects of the cluster into a folder beside those of the machines.
func TestFolderOfRender(t *testing.T) {
	f := newTree(t)
	f.within("cp-1").machine(evidencetest.Machine(evidencetest.Kubeadm(), "cp-1"))
	f.write("manifests/coredns.yaml", 0o644, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: coredns}\n")
	got, missing := Folder(f.dir)
	if len(got) != 1 || got[0].Name != "cp-1" || got[0].Program(evidence.APIServer) == nil || len(missing) > 0 {
		t.Errorf("%+v, %+v", got, missing)
	}
}

// Who copies no keys leaves out /var/lib/kubelet/pki, where kubelets keep theirs with
// the certificate. A file that is not in a folder that was copied is missing.
func TestFolderMissesOnlyFilesOfFoldersThatWereCopied(t *testing.T) {
	f := newTree(t)
	f.within("copy").machine(evidencetest.Machine(evidencetest.Kubeadm(), "cp-1"))
	for _, name := range []string{"var/lib/kubelet/pki", "etc/kubernetes/pki/front-proxy-ca.crt"} {
		if err := os.RemoveAll(filepath.Join(f.dir, "copy", name)); err != nil {
			t.Fatal(err)
		}
	}
	_, missing := Folder(filepath.Join(f.dir, "copy"))
	if len(missing) != 1 || missing[0].Source != evidencetest.PKI+"front-proxy-ca.crt" {
		t.Errorf("missing: %+v", missing)
	}
}

// Units that a distribution masks or has under another name lead out of a copy of
// /etc. One that is named like a program of a cluster is missing.
func TestFolderNeedsNoUnitsOfTheDistribution(t *testing.T) {
	f := newTree(t)
	f.within("copy").machine(evidencetest.Machine(evidencetest.Kubeadm(), "cp-1"))
	units := filepath.Join(f.dir, "copy/etc/systemd/system")
	if err := os.MkdirAll(units, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"getty@tty1.service": "/dev/null", "sshd.service": "/lib/systemd/system/ssh.service", "kube-vip.service": "/opt/kube-vip.service"} {
		if err := os.Symlink(target, filepath.Join(units, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, missing := Folder(filepath.Join(f.dir, "copy"))
	if len(missing) != 1 || missing[0].Source != "/etc/systemd/system/kube-vip.service" {
		t.Errorf("missing: %+v", missing)
	}
}

// Files outside of the folder, keys, and what is no regular file are not opened:
// each of them would be seen by its content, or by never coming back.
func TestFolderStaysInsideAndOpensNoKey(t *testing.T) {
	m := evidencetest.Machine(evidencetest.Kubeadm(), "cp-1")
	f := newTree(t)
	f.within("copy").machine(m)
	f.write("outside.crt", 0o644, "outside")
	pki := filepath.Join(f.dir, "copy/etc/kubernetes/pki")
	for name, target := range map[string]string{"linked.crt": "../../../../outside.crt", "absolute.crt": filepath.Join(f.dir, "outside.crt"),
		"within.crt": "/etc/kubernetes/pki/ca.crt"} {
		if err := os.Symlink(target, filepath.Join(pki, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(pki, "folder.crt"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, missing := Folder(filepath.Join(f.dir, "copy"))
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	if c := got[0].Certificate(evidencetest.PKI + "within.crt"); c == nil || c.Fingerprint() != m.Certificate(evidencetest.PKI+"ca.crt").Fingerprint() {
		t.Errorf("a link within the copy: %+v", c)
	}
	var said []string
	for _, x := range missing {
		said = append(said, strings.TrimPrefix(x.Source, evidencetest.PKI)+": "+x.Err)
	}
	slices.Sort(said)
	want := []string{"absolute.crt: leads out of the folder, or to nothing in it, and was not followed", "folder.crt: not a regular file",
		"linked.crt: leads out of the folder, or to nothing in it, and was not followed"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	for path, file := range got[0].Files {
		if strings.HasSuffix(path, ".key") && (file.Digest != "" || file.Mode != 0o600) {
			t.Errorf("%+v", file)
		}
	}
	root, err := os.OpenRoot(filepath.Join(f.dir, "copy"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	files := &copies{root: root, prefix: "/"}
	if text, err := files.read(evidencetest.ServingKey, asPEM); err == nil {
		t.Errorf("a key was read: %s", text)
	}
	if text, err := files.read("/var/lib/kubelet/pki/kubelet-client-current.pem", asPEM); err != nil || strings.Contains(text, plantedKey) || !strings.Contains(text, "CERTIFICATE") {
		t.Errorf("a file of a certificate and its key: %v, %s", err, text)
	}
}

func TestFolderWithoutAnything(t *testing.T) {
	for name, dir := range map[string]string{"empty": t.TempDir(), "not there": filepath.Join(t.TempDir(), "none")} {
		t.Run(name, func(t *testing.T) {
			got, missing := Folder(dir)
			if len(got) != 0 || len(missing) != 1 || missing[0].Source != dir || missing[0].Fix == "" {
				t.Errorf("%+v, %+v", got, missing)
			}
		})
	}
}

// A copy of /etc/kubernetes alone: kubeconfigs are judged without the units that name
// them, and what else a node has is named.
func TestCopiesOfEtcKubernetesAlone(t *testing.T) {
	e := evidencetest.Kubeadm()
	for _, m := range e.Machines {
		if m.Kubeconfigs[evidencetest.KubeletConf].Path != "" {
			evidencetest.SetServer(e, m.Name, evidencetest.KubeletConf, "https://10.10.10.11:6443")
		}
	}
	f := newTree(t)
	for _, m := range evidencetest.Folder(e).Machines {
		f.within(m.Name).machine(m)
		for _, other := range []string{"var", "etc/systemd", "etc/haproxy", "root"} {
			if err := os.RemoveAll(filepath.Join(f.dir, m.Name, other)); err != nil {
				t.Fatal(err)
			}
		}
	}
	machines, missing := Folder(f.dir)
	report := xray.Evaluate(&evidence.Evidence{Ways: []evidence.Way{evidence.Folder}, Machines: machines, Missing: missing}, xray.Options{})
	for check, want := range map[string][]string{
		"kubeconfig-servers": {"cp-2: kubelet asks 10.10.10.11:6443, which is cp-1", "cp-3: kubelet asks 10.10.10.11:6443, which is cp-1", "worker-1: kubelet asks 10.10.10.11:6443, which is cp-1"},
		"evidence-complete":  nil,
	} {
		var got []string
		status := map[xray.Status]int{}
		for _, x := range report.Findings {
			if x.Check == check && x.Status == xray.Fail {
				got = append(got, x.Node+": "+x.Observed)
			}
			if x.Check == check {
				status[x.Status]++
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", check, diff)
		}
		if check == "evidence-complete" && (status[xray.Warn] < 4 || status[xray.Pass] > 0) {
			t.Errorf("what is not in the copy is not named: %v", status)
		}
	}
}

// Nobody logs in to a copy, and no login helps where there is no file.
func TestWhatHelpsWhereAFileIsNotRead(t *testing.T) {
	for name, test := range map[string]struct {
		way  evidence.Way
		err  error
		fix  string
		want string
	}{
		"a copy without the file":      {evidence.Folder, fs.ErrNotExist, readAsRoot, copyToo},
		"a copy without a certificate": {evidence.Folder, fs.ErrNotExist, putBack, copyToo},
		"a copy that nobody may read":  {evidence.Folder, fs.ErrPermission, readAsRoot, copyItself},
		"a copy with a link out of it": {evidence.Folder, errLeadsOut, putBack, copyItself},
		"a machine without the file":   {evidence.Machines, fs.ErrNotExist, readAsRoot, putBack},
		"a file of root":               {evidence.Machines, fs.ErrPermission, readAsRoot, readAsRoot},
		"another fix":                  {evidence.Folder, fs.ErrNotExist, "Mend it.", "Mend it."},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost("cp-1", test.way, nil)
			if h.miss("/etc/x", test.err, test.fix); len(h.missing) != 1 || h.missing[0].Fix != test.want {
				t.Errorf("%+v, want %q", h.missing, test.want)
			}
		})
	}
}
