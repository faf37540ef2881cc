package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// SnapshotsListen is where haplane agent snapshots serves /healthz and /metrics.
const SnapshotsListen = "127.0.0.1:10272"

// Snapshots are what machines need for the snapshots that they take by themselves, beside the schedule.
type Snapshots struct {
	Lineage    string // of the cluster's record
	Encryption string // tells the key that Secrets are encrypted with
	// Generations tell the authorities and keys that objects depend on.
	Generations pki.Generations
	// Deposit has the cluster's keys, encrypted for those who may restore: machines cannot read it. Digest
	// tells what is in it: encrypted once more, it would be other bytes.
	Deposit       []byte
	DepositDigest string
}

// A SnapshotConfig is the configuration of haplane agent snapshots, which reads it again each time.
type SnapshotConfig struct {
	Cluster    string   `json:"cluster"`
	Lineage    string   `json:"lineage"`
	Node       string   `json:"node"`
	Schedule   string   `json:"schedule"`
	Retain     int      `json:"retain"`
	Recipients []string `json:"recipients,omitempty"`
	Deposit    string   `json:"deposit,omitempty"` // the file that goes along
	Encryption string   `json:"encryption,omitempty"`

	Generations pki.Generations `json:"generations,omitzero"`
}

// snapshotRereads are the flags whose files it reads again each time.
var snapshotRereads = []string{"config", "cacert", "cert", "key"}

// snapshots renders what takes snapshots beside an etcd member. It is root's, like what it writes, and
// has none of root's rights over others.
func (b *builder) snapshots() {
	s := b.Topology.Snapshots
	if !s.Scheduled() {
		return
	}
	config := SnapshotConfig{Cluster: b.Topology.Name, Lineage: b.Snapshots.Lineage, Node: b.node.Name, Schedule: s.Schedule, Retain: *s.Retain, Recipients: s.Recipients,
		Encryption: b.Snapshots.Encryption, Generations: b.Snapshots.Generations}
	if b.Snapshots.DepositDigest != "" {
		config.Deposit = "/var/lib/haplane/deposit-" + b.Snapshots.DepositDigest + ".age" // a place that others do not see
		b.files.Add(fileset.File{Path: config.Deposit, Mode: 0o600, Data: b.Snapshots.Deposit, Keep: true})
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("render: %v", err)) // strings and a number
	}
	const file = topology.KubernetesDir + "/haplane-snapshots.json"
	b.add(file, string(text)+"\n")
	dir := pkiPath("etcd")
	argv := []string{AgentBinary, "agent", "snapshots", "--config=" + file, "--listen=" + SnapshotsListen,
		fmt.Sprintf("--endpoint=https://127.0.0.1:%d", topology.EtcdClientPort),
		"--cacert=" + dir + "/ca.crt", "--cert=" + dir + "/healthcheck-client.crt", "--key=" + dir + "/healthcheck-client.key"}
	b.addService(service{
		name: "haplane-snapshots", description: "haplane agent, snapshots of etcd on a schedule", after: []string{"etcd.service"},
		argv: argv,
		// What verifies one takes a CPU for a second, which is not to be etcd's.
		service: []string{"Type=exec", "Nice=10", "TimeoutStopSec=10", "StateDirectory=haplane/snapshots", "StateDirectoryMode=0700"},
		confine: snapshotsOnly(argv),
		self:    snapshotRereads,
	})
}

// snapshotsOnly is for root's program that reads etcd over TLS, and writes to a folder of its own.
func snapshotsOnly(argv []string) []string {
	places := slices.DeleteFunc(slices.Clone(secretPlaces), func(p string) bool { return p == "/var/lib/haplane" })
	for _, data := range ownData {
		places = append(places, data)
	}
	slices.Sort(places)
	return slices.Concat(confined, []string{"CapabilityBoundingSet=", "PrivateDevices=yes", "ProtectKernelTunables=yes", "ProtectProc=invisible",
		"InaccessiblePaths=-" + strings.Join(places, " -"), "InaccessiblePaths=-" + strings.Join(hidden(argv), " -")})
}
