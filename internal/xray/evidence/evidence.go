// Package evidence is what an x-ray has seen of a cluster, and where. It has no
// opinion: the checks of package xray judge it. Nothing here holds a private key,
// a token or a password.
package evidence

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Way is a way of looking into a cluster.
type Way string

// The ways in. What one cannot see, another may.
const (
	Machines Way = "machines" // over SSH: files, units, processes, sockets
	API      Way = "api"      // with a kubeconfig
	Folder   Way = "folder"   // copies of /etc/kubernetes and friends
)

// Evidence is all that was seen. Checks do not change it.
type Evidence struct {
	At       time.Time // by the clock of the host that looks
	Ways     []Way
	Machines []*Machine // in the order in which they were named
	API      *Cluster   // nil where no API was asked
	// Servers are API servers and the load balancer as they answer when asked from
	// the host that looks.
	Servers []Server
	Missing []Missing
}

// Missing is something that could not be looked at.
type Missing struct {
	Way    Way
	Node   string // "" where it is not about one machine
	Source string // file, URL, object or command
	Err    string
	Fix    string
}

// Used reports whether any of the ways was taken.
func (e *Evidence) Used(ways ...Way) bool {
	return slices.ContainsFunc(ways, func(w Way) bool { return slices.Contains(e.Ways, w) })
}

// Machine returns the machine of a name, or of a hostname.
func (e *Evidence) Machine(name string) *Machine {
	for _, m := range e.Machines {
		if m.Name == name {
			return m
		}
	}
	for _, m := range e.Machines {
		if m.Hostname == name {
			return m
		}
	}
	return nil
}

// MachineAt returns the machine that has an address.
func (e *Evidence) MachineAt(a netip.Addr) *Machine {
	for _, m := range e.Machines {
		if slices.Contains(m.Addresses, a) {
			return m
		}
	}
	return nil
}

// A Machine is a host that was looked at, or a folder with its files.
type Machine struct {
	Name      string // as the user names it
	Hostname  string
	Way       Way
	Addresses []netip.Addr // without loopback and link-local ones
	// Interfaces are those that have an address; nil where they were not asked for.
	Interfaces []string
	Clock      *Clock // nil in a folder
	Programs   []Program
	Files      map[string]File
	// OnHost has, of paths in flags of containers, where the file is on the machine, if
	// that is elsewhere. All else has the paths of flags.
	OnHost map[string]string
	// Certificates are those of files that flags or kubeconfigs name or contain, by
	// path; the first of a file is the one that it is about.
	Certificates map[string][]Certificate
	Kubeconfigs  map[string]Kubeconfig
	LoadBalancer *LoadBalancer // nil where none runs
	Keepalived   *Keepalived   // nil where none is configured
	Etcd         *Etcd         // nil where none runs, or it was not asked
	Listening    []netip.AddrPort
	// Led is what the machine's programs and pods send to one place and ends at another, by rules of the machine's own; looked
	// for where HAProxy runs.
	Led []Lead
	// Requests were made on the machine, to see what it reaches.
	Requests []Request
	// Doubles are programs that several units or manifests are to run.
	Doubles []Double
	// Unjudged is what was not looked at for a reason that is nobody's mistake: it is not in
	// the copy, say.
	Unjudged []Unjudged
	// Unrecognised are manifests and units that are to run something that is not known here.
	Unrecognised []Unrecognised
	// Unbalancing are configurations of load balancers in a copy of a machine in which no API
	// server was recognised.
	Unbalancing []string
}

// A Lead is a rule by which connections to one place end at another.
type Lead struct{ To, At netip.AddrPort }

// An Unjudged is a file, or something else, with why it was not looked at.
type Unjudged struct{ Source, Why string }

// An Unrecognised is a manifest or unit whose program was not recognised.
type Unrecognised struct {
	Source string // its file
	Runs   string // what it starts: a command without arguments, or an image; "" with Like
	Like   string // the program that it runs by its name, "" where that tells nothing
}

// NotInCopy is why most of a folder were not.
const NotInCopy = "not in the copy"

// A Double is a program that is to run more than once on a machine.
type Double struct {
	Program string
	// Pod is namespace/name of static pods that have one name: the kubelet runs the
	// last of Sources alone. "" where each of them would run.
	Pod     string
	Sources []string // of units and manifests, in the order in which the kubelet reads them
}

// A Clock is how far a machine's clock is ahead of that of the host that looks.
type Clock struct {
	Ahead       time.Duration
	Uncertainty time.Duration // half of the time that asking took
}

// A File is one that was looked at.
type File struct {
	Path   string
	Mode   uint32 // permission bits
	Owner  string
	Group  string // "" where it was not seen
	Size   int64
	Digest string // SHA-256 in hex of files that have to be equal; never of keys
	// PublicKeys are the SHA-256 in hex of the public keys (PKIX) in a file of keys: of public
	// keys, of certificates and, where the machine told it, of private keys.
	PublicKeys []string
	// Private tells that a private key is in it; Sealed, that the public half of one is not known.
	Private, Sealed bool
}

// Program returns the program of a name, or nil.
func (m *Machine) Program(name string) *Program {
	for i := range m.Programs {
		if m.Programs[i].Name == name {
			return &m.Programs[i]
		}
	}
	return nil
}

// Certificate returns the first certificate of a file, or nil.
func (m *Machine) Certificate(path string) *Certificate {
	if all := m.Certificates[path]; len(all) > 0 {
		return &all[0]
	}
	return nil
}

// Programs that make up a cluster.
const (
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelet           = "kubelet"
	KubeProxy         = "kube-proxy"
	EtcdServer        = "etcd"
	HAProxy           = "haproxy"
	Nginx             = "nginx"
	HaplaneAgent      = "haplane"
	HaplaneSnapshots  = "haplane agent snapshots" // takes snapshots of etcd on a schedule
	K3s               = "k3s"                     // server and agent in one process
	K0s               = "k0s"
)

// How it is known with which flags a program runs, best first.
const (
	FromProcess  = "process"
	FromUnit     = "unit"
	FromManifest = "manifest"
	FromPod      = "pod"
	// FromConfiguration: a folder has its configuration, and nothing that starts it.
	FromConfiguration = "configuration"
)

// A Program is one that runs on a machine, or is meant to.
type Program struct {
	Name    string
	From    string // process, unit, manifest or pod
	Where   string // pid 231, /etc/systemd/system/kube-apiserver.service, kube-system/kube-apiserver-cp-1
	Running bool   // a process was seen, or the pod's container is ready
	Argv    []string
	Version string // v1.37.2 where it is known
	// Executable identifies the file that a process runs: programs of a machine that
	// have it in common have one version. "" where none was seen.
	Executable string
	Unit       *Unit
	// StopTimeout is how long it may take to end before it is killed: the unit's
	// TimeoutStopSec or the pod's terminationGracePeriodSeconds. 0: not known.
	StopTimeout time.Duration
	// Config is the configuration file that --config names, as generic YAML.
	Config map[string]any
	// Variables of etcd's environment are settings too, by the names of the flags that they
	// stand for: listen-client-urls for ETCD_LISTEN_CLIENT_URLS. Flags go before them. Those of
	// kube-vip have their own names, and go before its flags.
	Variables map[string]string
}

// Source names where the program's flags were seen.
func (p *Program) Source() string { return p.From + " " + p.Where }

// EtcdSetting is a flag of etcd or, where it reads a configuration file, which then
// replaces all flags, the setting of that name.
func (p *Program) EtcdSetting(name, otherwise string) string {
	if _, ok := p.Flag("config-file"); !ok || p.Name != EtcdServer {
		return p.FlagOr(name, otherwise)
	}
	group, key := "client-transport-security", name
	if rest, ok := strings.CutPrefix(name, "peer-"); ok {
		group, key = "peer-transport-security", rest
	}
	section := p.Config
	if slices.Contains(EtcdSecurity, key) { // which etcd looks for in its section alone
		section, _ = p.Config[group].(map[string]any)
		name = key
	}
	if v := section[name]; v != nil {
		return fmt.Sprint(v)
	}
	return otherwise
}

// EtcdSecurity are the keys of the sections client-transport-security and
// peer-transport-security of etcd's configuration file.
var EtcdSecurity = []string{"cert-file", "key-file", "client-cert-file", "client-key-file", "client-cert-auth", "trusted-ca-file", "auto-tls",
	"allowed-cn", "allowed-hostname", "skip-client-san-verification"}

// A Unit is a systemd unit as far as availability is concerned.
type Unit struct {
	Name    string
	Path    string
	Active  string // ActiveState: active, inactive, failed; "" where it was not asked
	Enabled bool
	Exec    []string
	// Settings are the other settings of [Service] by name, the last of each.
	Settings map[string]string
	// EtcdVariables are those of its environment; see Program. Unread are the files of
	// the environment that were not read, or are not there.
	EtcdVariables map[string]string
	Unread        []string
}

// A Kubeconfig is one without its secrets.
type Kubeconfig struct {
	Path       string
	Context    string
	Server     string // of the current context
	ServerName string // tls-server-name
	User       string
	Insecure   bool // insecure-skip-tls-verify
	Err        string
}

// A Request was made on a machine with the cluster's CA.
type Request struct {
	Purpose    string // of the constants below
	URL        string
	ServerName string // the name that the certificate was verified for, where it is not the URL's
	Status     int    // HTTP; 0 where there was no answer
	Err        string // why there was none, or why the certificate did not verify
	Answer     string // the first KiB of it
	Took       time.Duration
}

// Purposes of requests.
const (
	ThroughLoadBalancer = "load-balancer" // /readyz through the load balancer
	ThroughService      = "service"       // /readyz through the IP of the kubernetes Service
	LocalAPIServer      = "local"         // /readyz of the machine's own API server
	AgentHealth         = "agent"         // health of haplane agent
	SnapshotHealth      = "snapshots"     // health of haplane agent snapshots
)
