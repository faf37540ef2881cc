package render

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// rotationPhases are the files of all machines before a rotation and in each of its phases.
func rotationPhases(t testing.TB, top *topology.Topology, name string) []map[string]Machine {
	rows, now := pki.Catalogue(top), time.Now()
	plan, _ := pki.Plan(rows, pki.Bundle{}, now, false)
	before := issue(t, rows, pki.Bundle{}, plan)
	row := pki.Rotatable[name]
	next, err := pki.Next(before, rows, row, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bundles, have := []pki.Bundle{before}, before
	for _, phase := range []pki.Phase{pki.Trust, pki.Switch, pki.Drop} {
		had := before
		had.Pairs = map[string]pki.Pair{}
		for name, p := range have.Pairs { // leaves are those of the phase before, authorities those of the store
			if had.Pairs[name] = p; name == pki.CA || name == pki.EtcdCA || name == pki.FrontProxyCA {
				had.Pairs[name] = before.Pairs[name]
			}
		}
		during := had.During(phase, row, next)
		if phase == pki.Switch && (row == pki.CA || row == pki.EtcdCA) {
			if during.Beside.Cross, err = pki.Cross(before.Pairs[row], next, now, rand.Reader); err != nil {
				t.Fatal(err)
			}
		}
		plan, lost := pki.Plan(rows, during, now, true)
		if len(lost) > 0 || phase != pki.Switch && len(plan) > 0 {
			t.Fatalf("%s: lost %v, made anew %v", phase, lost, plan)
		}
		have = issue(t, rows, during, plan)
		bundles = append(bundles, have)
	}
	var out []map[string]Machine
	for _, keys := range bundles {
		out = append(out, Render(Input{Topology: top, Keys: keys, Images: Images{Pause: "p", CoreDNS: "c"}, Platforms: map[string]Platform{}}))
	}
	return out
}

func issue(t testing.TB, rows []pki.Row, have pki.Bundle, plan []pki.Reissue) pki.Bundle {
	out, err := pki.Issue(rows, have, plan, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rotated are all that can be rotated.
var rotated = []string{pki.RotateCA, pki.RotateEtcdCA, pki.RotateFrontProxyCA, pki.RotateServiceAccount, pki.RotateEncryption}

// At no moment of a rotation is there a server and a client that do not trust each other: in whatever order nodes take their turns, programs
// read their files again, and haplane is killed and run again, or goes back from the first phase. So each program of each node may have
// any of its files as before or as after: the phases are apart by proofs, and by nothing else.
func TestNobodyIsDistrustedWhileKeysAreRotated(t *testing.T) {
	for shape, c := range map[string]*spec.Cluster{"shared": identity(spec.Shared), "perNode": shapes["snapshots"].cluster(), "external-etcd": shapes["external-etcd"].cluster(),
		"node-local": shapes["node-local-on-control-plane"].cluster()} {
		for _, name := range rotated {
			t.Run(shape+"/"+name, func(t *testing.T) {
				top := topology.New(c)
				phases, verified := rotationPhases(t, top, name), map[string]error{}
				rapid.Check(t, func(t *rapid.T) {
					at := rapid.IntRange(0, len(phases)-2).Draw(t, "phase")
					v := &trustView{top: top, before: phases[at], after: phases[at+1], changed: map[string]bool{}, verified: verified,
						old: phases[0], goes: at+1 == len(phases)-1, draw: func(what string) bool { return rapid.Bool().Draw(t, what) }}
					if v.all(); v.broken != "" {
						t.Fatal(v.broken)
					}
				})
			})
		}
	}
}

// The test above would find phases that are left out.
func TestRotationWithoutItsPhasesIsFound(t *testing.T) {
	top := topology.New(identity(spec.Shared))
	for _, name := range rotated {
		phases, verified := rotationPhases(t, top, name), map[string]error{}
		for _, jump := range [][2]int{{0, 2}, {1, 3}, {0, 3}} {
			found := false
			for range 30 {
				v := &trustView{top: top, before: phases[jump[0]], after: phases[jump[1]], changed: map[string]bool{}, verified: verified, draw: func(string) bool { return mathrand.N(2) == 0 }}
				v.all()
				found = found || v.broken != ""
			}
			if !found {
				t.Errorf("%s from %d to %d: nobody was distrusted", name, jump[0], jump[1])
			}
		}
	}
}

// Who has the old authority alone gets in until it is dropped, and not afterwards; without what the old one vouches by, no longer than to the switch.
func TestTheOldAuthorityAloneIsGoodUntilItIsDropped(t *testing.T) {
	top := topology.New(identity(spec.Shared))
	for name, files := range map[string][2]string{pki.RotateCA: {"ca.crt", "apiserver.crt"}, pki.RotateEtcdCA: {"etcd/ca.crt", "etcd/server.crt"}} {
		phases := rotationPhases(t, top, name)
		for i, want := range []bool{true, true, true, false} {
			for _, n := range top.ControlPlane() {
				shown := phases[i][n.Name].Files[pkiPath(files[1])].Data
				if err := verify(phases[0][n.Name].Files[pkiPath(files[0])].Data, shown); (err == nil) != want {
					t.Errorf("%s, phase %d, %s: %v, want %v", name, i, n.Name, err, want)
				}
				if n := len(pki.Blocks(shown)); (n == 2) != (i == 2) {
					t.Errorf("%s, phase %d: %d certificates are shown", name, i, n)
				}
				if err := verify(phases[0][n.Name].Files[pkiPath(files[0])].Data, pki.Blocks(shown)[0]); i == 2 && err == nil {
					t.Errorf("%s: what is shown alone verifies, too", name)
				}
			}
		}
	}
}

// A trustView is what the programs of a cluster have, each file as before or as after.
type trustView struct {
	top           *topology.Topology
	before, after map[string]Machine
	draw          func(what string) bool
	changed       map[string]bool // what was drawn
	verified      map[string]error
	broken        string             // who does not trust whom
	old           map[string]Machine // before the rotation: what clients from outside may have of it; nil: there are none
	goes          bool               // what is old is being dropped
}

func (v *trustView) all() {
	v.tls()
	v.tokens()
	v.secrets()
}

// file is what a reader has of a file; files of one path may be read by several, at other times.
func (v *trustView) file(node, reader, file string) []byte {
	before, after := v.before[node].Files[file].Data, v.after[node].Files[file].Data
	if bytes.Equal(before, after) {
		return before
	}
	key := node + " " + reader + " " + file
	if _, ok := v.changed[key]; !ok {
		v.changed[key] = v.draw(key)
	}
	if v.changed[key] {
		return after
	}
	return before
}

// kubeconfig is a part of one.
func (v *trustView) kubeconfig(node, file, part string) []byte {
	_, after, _ := bytes.Cut(v.file(node, "its program", path.Join(topology.KubernetesDir, file)), []byte(part+": "))
	value, _, _ := bytes.Cut(after, []byte("\n"))
	data, _ := base64.StdEncoding.DecodeString(string(value))
	return data
}

// trusts wants a bundle to verify a certificate.
func (v *trustView) trusts(who string, bundle []byte, whom string, certificate []byte) {
	pair := string(bundle) + string(certificate)
	err, known := v.verified[pair]
	if !known {
		err = verify(bundle, certificate)
		v.verified[pair] = err
	}
	if err != nil {
		v.broken = fmt.Sprintf("%s does not trust %s: %v", who, whom, err)
	}
}

func verify(bundle, certificate []byte) error {
	cert, err := pki.ParseCertificate(certificate)
	if err != nil {
		return err
	}
	pool, between := x509.NewCertPool(), x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	for _, block := range pki.Blocks(certificate)[1:] {
		between.AppendCertsFromPEM(block)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

// outside are clients that have the authority of before the rotation alone, whatever becomes of the machines: they get in until it is dropped.
func (v *trustView) outside(whom, node, reader, authority, certificate string) {
	if v.old != nil && !v.goes {
		v.trusts("a client that has the old authority alone", v.old[node].Files[pkiPath(authority)].Data, whom, v.pki(node, reader, certificate))
	}
}

func (v *trustView) pki(node, reader, name string) []byte { return v.file(node, reader, pkiPath(name)) }

func (v *trustView) tls() {
	kubeconfigs := func(n topology.Node) []string {
		var out []string
		for p := range v.before[n.Name].Files {
			if path.Dir(p) == topology.KubernetesDir && strings.HasSuffix(p, ".conf") {
				out = append(out, path.Base(p))
			}
		}
		slices.Sort(out)
		return out
	}
	for _, api := range v.top.ControlPlane() {
		is := "API server of " + api.Name
		for _, n := range v.top.Nodes {
			for _, conf := range kubeconfigs(n) {
				v.trusts(conf+" of "+n.Name, v.kubeconfig(n.Name, conf, "certificate-authority-data"), is, v.pki(api.Name, "API server", "apiserver.crt"))
				v.trusts(is, v.pki(api.Name, "API server", "ca.crt"), conf+" of "+n.Name, v.kubeconfig(n.Name, conf, "client-certificate-data"))
			}
		}
		for _, lb := range v.top.Nodes {
			const ca = "/etc/haproxy/kubernetes-ca.crt"
			if _, balances := v.before[lb.Name].Files[ca]; balances {
				v.trusts(lb.Name, v.file(lb.Name, "haproxy", ca), is, v.pki(api.Name, "API server", "apiserver.crt"))
			}
		}
		v.outside(is, api.Name, "API server", "ca.crt", "apiserver.crt")
		for _, n := range v.top.KubeletNodes() {
			v.trusts(is, v.pki(api.Name, "API server", "ca.crt"), "kubelet of "+n.Name, v.file(n.Name, "kubelet", "/var/lib/kubelet/pki/kubelet.crt"))
			for _, signer := range v.top.ControlPlane() { // of what kubelets ask for, to ask with and to serve
				if signs := v.signer(signer.Name); signs != nil {
					v.trusts(is, v.pki(api.Name, "API server", "ca.crt"), "what the controller manager of "+signer.Name+" signs", signs)
				}
			}
			v.trusts("kubelet of "+n.Name, v.pki(n.Name, "kubelet", "ca.crt"), is, v.pki(api.Name, "API server", "apiserver-kubelet-client.crt"))
		}
		for _, n := range v.top.EtcdMembers() {
			v.trusts(is, v.pki(api.Name, "API server", "etcd/ca.crt"), "etcd on "+n.Name, v.pki(n.Name, "etcd", "etcd/server.crt"))
			v.trusts("etcd on "+n.Name, v.pki(n.Name, "etcd", "etcd/ca.crt"), is, v.pki(api.Name, "API server", "apiserver-etcd-client.crt"))
		}
		for _, other := range v.top.ControlPlane() {
			v.trusts("API server of "+other.Name, v.pki(other.Name, "API server", "front-proxy-ca.crt"), "front proxy of "+api.Name, v.pki(api.Name, "API server", "front-proxy-client.crt"))
			v.trusts("API server of "+other.Name, v.pki(other.Name, "API server", "ca.crt"), is, v.pki(api.Name, "API server", "apiserver.crt")) // as a peer
		}
	}
	for _, a := range v.top.EtcdMembers() {
		v.outside("etcd on "+a.Name, a.Name, "etcd", "etcd/ca.crt", "etcd/server.crt")
		if v.top.Snapshots.Scheduled() { // of its own member, and of the others
			for _, b := range v.top.EtcdMembers() {
				const taker = "haplane-snapshots"
				v.trusts(taker+" on "+a.Name, v.pki(a.Name, taker, "etcd/ca.crt"), "etcd on "+b.Name, v.pki(b.Name, "etcd", "etcd/server.crt"))
				v.trusts("etcd on "+b.Name, v.pki(b.Name, "etcd", "etcd/ca.crt"), taker+" on "+a.Name, v.pki(a.Name, taker, "etcd/healthcheck-client.crt"))
			}
		}
		for _, b := range v.top.EtcdMembers() {
			v.trusts("etcd on "+a.Name, v.pki(a.Name, "etcd", "etcd/ca.crt"), "etcd on "+b.Name, v.pki(b.Name, "etcd", "etcd/peer.crt"))
		}
	}
}

// signer is the certificate with which a controller manager signs; nil of one that does not.
func (v *trustView) signer(node string) []byte {
	unit := v.file(node, "controller manager", "/etc/systemd/system/kube-controller-manager.service")
	_, after, _ := bytes.Cut(unit, []byte("--cluster-signing-cert-file="))
	file, _, _ := bytes.Cut(after, []byte(" "))
	data := v.file(node, "controller manager", string(file))
	if len(data) == 0 { // it is gone, and was read before; or is to come, and is waited for
		data = append(bytes.Clone(v.before[node].Files[string(file)].Data), v.after[node].Files[string(file)].Data...)
	}
	if len(pki.Blocks(data)) != 1 {
		return nil // of which it takes none
	}
	return data
}

// tokens that one API server signs are verified by all.
func (v *trustView) tokens() {
	for _, signer := range v.top.ControlPlane() {
		public, err := pki.PublicOf(v.pki(signer.Name, "API server", "sa.key"))
		for _, n := range v.top.ControlPlane() {
			if err != nil || !slices.ContainsFunc(pki.Blocks(v.pki(n.Name, "API server", "sa.pub")), func(b []byte) bool { return bytes.Equal(b, public) }) {
				v.broken = fmt.Sprintf("API server of %s refuses tokens of that of %s", n.Name, signer.Name)
			}
		}
	}
}

// secrets that one API server writes are read by all.
func (v *trustView) secrets() {
	keys := func(n topology.Node) []string {
		var out []string
		for _, m := range regexp.MustCompile(`name: (\S+)\n\s+secret: (\S+)`).FindAllStringSubmatch(string(v.file(n.Name, "API server", path.Join(topology.KubernetesDir, "encryption.yaml"))), -1) {
			out = append(out, m[1]+" "+m[2])
		}
		return out
	}
	for _, writer := range v.top.ControlPlane() {
		for _, n := range v.top.ControlPlane() {
			if !slices.Contains(keys(n), keys(writer)[0]) {
				v.broken = fmt.Sprintf("API server of %s cannot read what that of %s writes", n.Name, writer.Name)
			}
		}
	}
}

// What trusts is the same before the switch and after it: only what has a certificate of its own, or the key that signs, changes.
func TestTheSwitchRestartsNobodyWhoOnlyTrusts(t *testing.T) {
	top := topology.New(identity(spec.Shared))
	for name, restarted := range map[string]map[string][]string{
		pki.RotateEtcdCA:       {"cp-1": nil, "worker-1": nil, "lb-1": nil},
		pki.RotateFrontProxyCA: {"cp-1": nil, "worker-1": nil, "lb-1": nil},
		pki.RotateCA: {"cp-1": {"flanneld", "haplane-agent", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet"},
			"worker-1": {"flanneld", "kube-proxy", "kubelet"}, "lb-1": nil},
		pki.RotateServiceAccount: {"cp-1": {"kube-apiserver", "kube-controller-manager"}, "worker-1": nil},
		pki.RotateEncryption:     {"cp-1": {"kube-apiserver"}, "worker-1": nil},
	} {
		phases := rotationPhases(t, top, name)
		for node, want := range restarted {
			var got []string
			for i, u := range phases[2][node].Units {
				if was := phases[1][node].Units[i]; was.Config != u.Config || was.Load != u.Load {
					got = append(got, u.Name)
				}
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("switch of %s on %s restarts %v, want %v", name, node, got, want)
			}
		}
	}
}

// The controller manager signs with one certificate, whatever else is trusted.
func TestTheSignerIsOneCertificate(t *testing.T) {
	phases := rotationPhases(t, topology.New(identity(spec.Shared)), pki.RotateCA)
	for i, file := range []string{"ca.crt", "ca-signing.crt", "ca-signing.crt", "ca.crt"} {
		files := phases[i]["cp-1"].Files
		unit := string(files["/etc/systemd/system/kube-controller-manager.service"].Data)
		if n := len(pki.Blocks(files[pkiPath(file)].Data)); n != 1 || !strings.Contains(unit, "--cluster-signing-cert-file="+pkiPath(file)) {
			t.Errorf("phase %d: %d certificates in %s:\n%s", i, n, file, unit)
		}
		cert, err := pki.ParseCertificate(files[pkiPath(file)].Data)
		if err != nil {
			t.Fatal(err)
		}
		public, err := pki.PublicOf(files[pkiPath("ca.key")].Data)
		if err != nil || !bytes.Contains(public, []byte("PUBLIC KEY")) || !samePublic(cert, public) {
			t.Errorf("phase %d: ca.key is not that of %s (%v)", i, file, err)
		}
	}
}

func samePublic(cert *x509.Certificate, public []byte) bool {
	der, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	block, _ := pem.Decode(public)
	return err == nil && block != nil && bytes.Equal(der, block.Bytes)
}
