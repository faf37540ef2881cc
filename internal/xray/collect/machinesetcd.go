package collect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// An etcdAsk is how the member of a machine is asked: curl reads the key itself.
type etcdAsk struct {
	endpoint      string
	ca, cert, key string // paths
}

// healthcheck is the client certificate that kubeadm and haplane make for asking etcd.
const healthcheck = "/etc/kubernetes/pki/etcd/healthcheck-client"

// askEtcd is nil where no member runs, or nothing tells how to ask it.
func (h *host) askEtcd() *etcdAsk {
	p := h.program(evidence.EtcdServer)
	if p == nil || !p.Running {
		return nil
	}
	urls := xray.SplitURLs(p.EtcdSetting("listen-client-urls", xray.DefaultEtcdClientURL))
	urls = slices.DeleteFunc(urls, func(u string) bool { return xray.HostPort(u) == "" })
	if len(urls) == 0 {
		return nil
	}
	i := max(slices.IndexFunc(urls, func(u string) bool { return strings.HasPrefix(u, "https://") && h.isOwn(u) }), 0)
	endpoint := strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "[::1]").Replace(strings.TrimSuffix(urls[i], "/"))
	out := h.etcdCredentials(p)
	out.endpoint = endpoint
	return &out
}

// etcdCredentials are those of the API server beside, else those for health checks,
// else the member's own, which are for clients too.
func (h *host) etcdCredentials(etcd *located) etcdAsk {
	if a := h.program(evidence.APIServer); a != nil {
		cert, _ := a.Flag("etcd-certfile")
		key, _ := a.Flag("etcd-keyfile")
		ca, _ := a.Flag("etcd-cafile")
		if cert != "" && key != "" {
			return etcdAsk{ca: a.on(ca), cert: a.on(cert), key: a.on(key)}
		}
	}
	ca := etcd.on(etcd.EtcdSetting("trusted-ca-file", ""))
	if len(h.machine.Certificates[healthcheck+".crt"]) > 0 {
		return etcdAsk{ca: ca, cert: healthcheck + ".crt", key: healthcheck + ".key"}
	}
	return etcdAsk{ca: ca, cert: etcd.on(etcd.EtcdSetting("cert-file", "")), key: etcd.on(etcd.EtcdSetting("key-file", ""))}
}

// Paths of etcd's gateway, in the order in which they are asked: what the member
// answers alone comes first, then what takes the quorum. The first failure is the last.
var (
	etcdPaths  = []string{"/v3/maintenance/status", "/v3/cluster/member/list", "/metrics", "/health", "/v3/maintenance/alarm"}
	etcdBodies = map[string]string{"/v3/maintenance/status": "{}", "/v3/cluster/member/list": "{}", "/v3/maintenance/alarm": `{"action":"GET"}`}
)

// command is the arguments of curl for one request.
func (e etcdAsk) command(path string) []string {
	out := curlOptions()
	for _, option := range [][2]string{{"--cacert", e.ca}, {"--cert", e.cert}, {"--key", e.key}, {"--data", etcdBodies[path]}} {
		if option[1] != "" && (strings.HasPrefix(e.endpoint, "https:") || option[0] == "--data") {
			out = append(out, option[:]...)
		}
	}
	return append(out, e.endpoint+path)
}

// evidence is what the answers say.
func (e etcdAsk) evidence(answers []reply) *evidence.Etcd {
	out := &evidence.Etcd{Endpoint: e.endpoint}
	all := make([]reply, len(etcdPaths))
	for i := range all {
		all[i].err = "no answer in time"
		if i < len(answers) {
			all[i] = answers[i]
		}
	}
	err := all[0].read(func(text string) error { return parse.EtcdStatus(text, out) })
	if err == nil {
		err = all[1].read(func(text string) (err error) { out.Members, err = parse.EtcdMembers(text); return err })
	}
	if err != nil {
		out.Err = err.Error()
		return out
	}
	if all[2].status == 200 {
		_ = parse.EtcdMetrics(all[2].body+"\n", out) // what is not metrics tells nothing
	}
	healthy, why, err := parse.EtcdHealth(all[3].body)
	if err != nil {
		why = cmp.Or(all[3].err, err.Error())
	}
	out.Healthy, out.Health = &healthy, why
	_ = all[4].read(func(text string) error { // without a quorum there is no answer
		alarms, err := parse.EtcdAlarms(text)
		if err == nil {
			out.Alarms = alarms
		}
		return err
	})
	return out
}
