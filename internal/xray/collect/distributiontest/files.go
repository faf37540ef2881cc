package distributiontest

import (
	"cmp"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/internal/xray/parse"
)

// A row is a certificate to issue; see evidencetest.Row.
type row = evidencetest.Row

const keyText = "-----BEGIN PRIVATE KEY-----\n" + Planted + Planted + "\n-----END PRIVATE KEY-----\n"

func certificate(r row) string { return parse.PEM([]evidence.Certificate{evidencetest.Issue(r)}) }

// authority is the certificate of a CA.
func authority(name string) string {
	return certificate(row{CommonName: name, Key: "authority " + name})
}

// publicKey is that of a key pair, as in a .pub file.
func publicKey(name string) string {
	c := evidencetest.Issue(row{CA: "of nobody", CommonName: "of nobody", Key: name})
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: c.RawSubjectPublicKeyInfo}))
}

// pair writes BASE.crt and BASE.key, pemPair BASE.pem and BASE-key.pem.
func (n *Node) pair(base string, r row) {
	n.file(base+".crt", 0o644, certificate(r))
	n.file(base+".key", 0o600, keyText)
}

func (n *Node) pemPair(base string, r row) {
	n.file(base+".pem", 0o644, certificate(r))
	n.file(base+"-key.pem", 0o600, keyText)
}

// ca writes the certificate of a CA with its key.
func (n *Node) ca(cert, key, name string) {
	n.file(cert, 0o644, authority(name))
	n.file(key, 0o600, keyText)
}

// serving, client and both are usages of certificates.
func serving(ca, name string, names ...string) row {
	return row{CA: ca, CommonName: name, Names: names, Usages: evidencetest.ForServer}
}

func client(ca, name string, organization ...string) row {
	return row{CA: ca, CommonName: name, Organization: organization, Usages: evidencetest.ForClient}
}

func both(ca, name string, names ...string) row {
	return row{CA: ca, CommonName: name, Names: names, Usages: evidencetest.ForBoth}
}

// A user is whom a kubeconfig is of: with a certificate in it, or in the files of cert.
type user struct {
	name         string
	organization []string
	cert, key    string // paths; "" where they are in the kubeconfig
	ca           string // path of the CA; "" where it is in the kubeconfig
	signer       string // CA of the certificate; "" for kubernetes
	trusts       string // the CA itself; "" for the certificate of kubernetes
	token        bool   // in the place of a certificate
}

// kubeconfig writes one.
func (n *Node) kubeconfig(file, server string, u user) {
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	ca := "certificate-authority-data: " + encoded(cmp.Or(u.trusts, authority(evidencetest.CA)))
	if u.ca != "" {
		ca = "certificate-authority: " + u.ca
	}
	who := fmt.Sprintf("client-certificate: %s\n    client-key: %s", u.cert, u.key)
	switch {
	case u.token:
		who = "token: " + Planted
	case u.cert == "":
		who = "client-certificate-data: " + encoded(certificate(client(cmp.Or(u.signer, evidencetest.CA), u.name, u.organization...))) +
			"\n    client-key-data: " + encoded(Planted)
	}
	n.file(file, 0o600, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    %s
    server: %s
users:
- name: %s
  user:
    %s
contexts:
- name: default
  context:
    cluster: kubernetes
    user: %[3]s
current-context: default
`, ca, server, u.name, who))
}

// A service is a unit's file.
type service struct {
	name     string // kubelet
	folder   string // "" for /etc/systemd/system
	exec     string // the whole command, as the unit has it
	settings string // further lines of [Service]
	process  []string
	dropIns  map[string]string
}

const etcUnits, usrUnits = "/etc/systemd/system", "/usr/lib/systemd/system"

// service installs a unit, enables it, and starts it.
func (n *Node) service(s service) {
	if s.folder == "" {
		s.folder = etcUnits
	}
	unit := s.name + ".service"
	u := Unit{Name: unit, Path: s.folder + "/" + unit}
	n.file(u.Path, 0o644, "[Unit]\nDescription="+s.name+"\n\n[Service]\n"+s.settings+"ExecStart="+s.exec+"\n\n[Install]\nWantedBy=multi-user.target\n")
	n.link(etcUnits+"/multi-user.target.wants/"+unit, u.Path)
	for name, text := range s.dropIns {
		u.DropIns = append(u.DropIns, s.folder+"/"+unit+".d/"+name)
		n.file(s.folder+"/"+unit+".d/"+name, 0o644, text)
	}
	n.Units = append(n.Units, u)
	if s.process == nil {
		s.process = strings.Fields(strings.ReplaceAll(s.exec, "\\\n", " "))
	}
	n.runs("/system.slice/"+unit, s.process...)
}

func (n *Node) runs(group string, argv ...string) {
	n.Processes = append(n.Processes, Process{Argv: argv, Group: group})
}

// command is a program with its flags, as units have it: one to a line.
func command(program string, flags ...string) string {
	return strings.Join(append([]string{program}, flags...), " \\\n  ")
}

// without are the flags but for those of some names, flagged those and others in
// their place.
func without(flags []string, names ...string) []string {
	var out []string
	for _, f := range flags {
		drop := false
		for _, name := range names {
			drop = drop || strings.HasPrefix(f, "--"+name+"=")
		}
		if !drop {
			out = append(out, f)
		}
	}
	return out
}

// Reissue issues the certificate of a file anew, changed.
func (n *Node) Reissue(file string, change func(*evidencetest.Row)) {
	f := n.Files[file]
	certs := parse.Certificates(f.Text)
	if len(certs) == 0 {
		panic(n.Name + " has no certificate in " + file)
	}
	r := evidencetest.RowOf(certs[0])
	change(&r)
	f.Text = certificate(r)
	n.Files[file] = f
}

// Remove takes away a file and the processes whose command has a word.
func (n *Node) Remove(file, word string) {
	n.Drop(file)
	n.Processes = slices.DeleteFunc(n.Processes, func(p Process) bool { return slices.Contains(p.Argv, word) })
}

// Copy puts a file beside another.
func (n *Node) Copy(file, to string) { n.Files[to] = n.Files[file] }
