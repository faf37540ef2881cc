package xray

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// etcdKeys are the keys of etcd's configuration file that 3.7 knows (configYAML of
// server/embed/config.go): not all flags are.
var etcdKeys = strings.Fields(`
	advertise-client-urls auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention backend-batch-interval backend-batch-limit
	backend-bbolt-freelist-type bcrypt-cost bootstrap-defrag-threshold-megabytes cipher-suites client-transport-security compact-hash-check-time
	compaction-batch-limit compaction-sleep-interval corrupt-check-time cors data-dir discovery-config discovery-srv discovery-srv-name
	distributed-tracing-address distributed-tracing-instance-id distributed-tracing-sampling-rate distributed-tracing-service-name
	downgrade-check-time election-timeout enable-distributed-tracing enable-grpc-gateway enable-log-rotation enable-pprof feature-gates
	force-new-cluster grpc-additional-server-options grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout heartbeat-interval
	host-whitelist initial-advertise-peer-urls initial-cluster initial-cluster-state initial-cluster-token initial-election-tick-advance
	listen-client-http-urls listen-client-urls listen-metrics-urls listen-peer-urls log-format log-level log-outputs log-rotation-config-json
	logger max-concurrent-streams max-learners max-request-bytes max-snapshots max-txn-ops max-wals memory-mlock metrics name
	peer-transport-security pre-vote quota-backend-bytes self-signed-cert-validity snapshot-catchup-entries snapshot-count socket-options
	strict-reconfig-check tls-max-version tls-min-version unsafe-no-fsync v2-deprecation wal-dir warning-apply-duration
	warning-unary-request-duration watch-progress-notify-interval`)

// etcdFormerKeys are those that versions before 3.7 knew, beside all that begin with
// experimental- or proxy.
var etcdFormerKeys = strings.Fields("debug discovery discovery-fallback discovery-proxy enable-v2 log-output log-package-levels ca-file peer-ca-file")

func etcdConfigKeys(s *Scene) []Finding {
	var out []Finding
	for _, p := range s.Instances(evidence.EtcdServer) {
		file, ok := p.Flag("config-file")
		where := at{p.Machine.Name, file}
		switch {
		case !ok && p.Unit != nil && len(p.Unit.Unread) > 0:
			out = append(out, p.at().skip("%s", etcdHidden(p)))
		case !ok:
			out = append(out, p.at().pass("no configuration file: etcd does not start with a flag that it does not know"))
		case p.Config == nil:
			out = append(out, where.skip("%s", etcdHidden(p)))
		default:
			out = append(out, orPass(unknownKeys(p, where), where, "%s, all known to etcd", plural(len(p.Config), "setting"))...)
		}
	}
	return out
}

func unknownKeys(p Instance, where at) []Finding {
	var out []Finding
	for _, key := range slices.Sorted(maps.Keys(p.Config)) {
		section, isSection := p.Config[key].(map[string]any)
		switch {
		case isSection && strings.HasSuffix(key, "-transport-security") && slices.Contains(etcdKeys, key):
			out = append(out, unknownSecurity(where, key, section)...)
		case !etcdKnows(p, key):
			out = append(out, misplaced(p, where, key))
		}
	}
	for _, flag := range besideConfig(p) {
		out = append(out, where.warn("all settings in the configuration file", "--"+flag+" beside it, which etcd passes over").
			fixed("Take --%[1]s away, or write what it is to be into %[2]s.", flag, where.source))
	}
	return out
}

// etcdKnows compares as encoding/json does, which etcd reads its file with.
func etcdKnows(p Instance, key string) bool {
	key = strings.ToLower(key)
	if slices.Contains(etcdKeys, key) {
		return true
	}
	v, err := version.ParseGeneric(p.Version)
	former := slices.Contains(etcdFormerKeys, key) || strings.HasPrefix(key, "experimental-") || strings.HasPrefix(key, "proxy")
	return former && (err != nil || v.LessThan(version.MustParseGeneric("3.7.0")))
}

// unknownSecurity: what is meant to guard etcd and does not.
func unknownSecurity(where at, name string, section map[string]any) []Finding {
	var out []Finding
	for _, key := range slices.Sorted(maps.Keys(section)) {
		if lower := strings.ToLower(key); !slices.Contains(evidence.EtcdSecurity, lower) && lower != "ca-file" {
			out = append(out, where.fail("keys of "+name+": "+list(evidence.EtcdSecurity), name+"."+key+", which etcd does not know"))
		}
	}
	return out
}

// misplaced is a key that etcd does not know: a failure where it is one of security whose
// section lacks it, or a section of such.
func misplaced(p Instance, where at, key string) Finding {
	section, isSection := p.Config[key].(map[string]any)
	if isSection {
		for inner := range section {
			if slices.Contains(evidence.EtcdSecurity, inner) {
				return where.fail("client-transport-security, peer-transport-security", fmt.Sprintf("%s with %s, which etcd does not know", key, inner))
			}
		}
	}
	name, group := strings.TrimPrefix(key, "peer-"), "client-transport-security"
	if name != key {
		group = "peer-transport-security"
	}
	if !slices.Contains(evidence.EtcdSecurity, name) {
		return where.warn("keys that etcd knows", key+", which it does not know and passes over")
	}
	status := Fail
	if name == "auto-tls" || p.EtcdSetting(key, "") != "" {
		status = Warn
	}
	return where.judge(false, status, group+"."+name, key+" outside of its section, where etcd passes over it")
}

// besideConfig are flags that etcd does not read where it has a configuration file.
func besideConfig(p Instance) []string {
	var out []string
	for _, arg := range p.Argv {
		text, isFlag := strings.CutPrefix(arg, "-")
		name, _, _ := strings.Cut(strings.TrimPrefix(text, "-"), "=")
		if isFlag && name != "config-file" && name != "" {
			out = append(out, name)
		}
	}
	return distinct(out)
}
