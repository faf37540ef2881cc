package spec

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// version is a full one, or a minor alone: its pinned patch is meant then.
var version = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)(\.(0|[1-9]\d*)(-[0-9a-z.]+)?)?$`)

func checkComponents(spec *field.Path, s *Spec, r *reading) field.ErrorList {
	var errs field.ErrorList
	if s.KubernetesVersion != "" && !version.MatchString(s.KubernetesVersion) {
		problem := "must be " + examples["kubernetesVersion"]
		if version.MatchString("v" + s.KubernetesVersion) {
			problem = fmt.Sprintf("write %q", "v"+s.KubernetesVersion)
		}
		errs = append(errs, field.Invalid(spec.Child("kubernetesVersion"), s.KubernetesVersion, problem))
	}
	at, c := spec.Child("components"), s.Components
	if c.Dir != "" && c.URL != "" {
		errs = append(errs, field.Invalid(at, field.OmitValueType{}, "has dir and url; use one of them"))
	}
	if c.Dir != "" && !filepath.IsAbs(c.Dir) {
		errs = append(errs, field.Invalid(at.Child("dir"), c.Dir, "must be an absolute path"))
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		errs = append(errs, field.Invalid(at.Child("url"), c.URL, "must be an http or https URL"))
	}
	judged := (c.Dir == "" || c.URL == "") && !r.failed(at.Child("url").String()) && !r.failed(at.Child("sha256").String())
	if judged && (c.URL != "") != (len(c.SHA256) > 0) {
		errs = append(errs, field.Required(at, "url and sha256 go together: sha256 names the programs to fetch from url"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.SHA256)) {
		if !slices.Contains(Programs, name) {
			errs = append(errs, field.NotSupported(at.Child("sha256").Key(name), name, Programs))
		}
		if sum, err := hex.DecodeString(c.SHA256[name]); err != nil || len(sum) != 32 {
			errs = append(errs, field.Invalid(at.Child("sha256").Key(name), c.SHA256[name], "must be 64 hexadecimal digits"))
		}
	}
	return errs
}

// Programs are those that spec.components can bring.
var Programs = []string{"bridge", "containerd", "containerd-shim-runc-v2", "coredns", "ctr", "etcd", "etcdctl", "etcdutl", "flanneld", "host-local",
	"kube", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubeadm", "kubectl", "kubelet", "loopback", "pause", "portmap", "runc", "web"}

// fixedArgs are flags that no cluster file may set, by program: they say who an
// API server is and where things are, and other files and machines rely on them.
var fixedArgs = map[string][]string{
	"kube-apiserver": {"advertise-address", "bind-address", "endpoint-reconciler-type", "etcd-servers", "etcd-cafile", "etcd-certfile",
		"etcd-keyfile", "peer-advertise-ip", "peer-advertise-port", "secure-port", "service-cluster-ip-range", "service-account-issuer",
		"tls-cert-file", "tls-private-key-file", "client-ca-file"},
	"kube-controller-manager": {"leader-elect", "cluster-cidr", "service-cluster-ip-range", "kubeconfig"},
	"kube-scheduler":          {"leader-elect", "kubeconfig"},
	"etcd": {"name", "data-dir", "listen-client-urls", "listen-peer-urls", "advertise-client-urls", "initial-advertise-peer-urls",
		"initial-cluster", "initial-cluster-state", "initial-cluster-token", "client-cert-auth", "peer-client-cert-auth"},
	"kubelet":    {"config", "hostname-override", "kubeconfig", "node-ip"},
	"kube-proxy": {"config", "hostname-override"},
}

var flagName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// ShutdownDelay is the flag of kube-apiserver that haplane reads too: how long one that is told to stop serves on.
const ShutdownDelay = "shutdown-delay-duration"

func isDuration(text string) bool {
	d, err := time.ParseDuration(text)
	return err == nil && d >= 0
}

func checkExtraArgs(at *field.Path, s *Spec) field.ErrorList {
	var errs field.ErrorList
	known := slices.Sorted(maps.Keys(fixedArgs))
	for _, program := range slices.Sorted(maps.Keys(s.ExtraArgs)) {
		fixed, ok := fixedArgs[program]
		if !ok {
			errs = append(errs, field.NotSupported(at.Key(program), program, known))
			continue
		}
		for _, flag := range slices.Sorted(maps.Keys(s.ExtraArgs[program])) {
			path := at.Key(program).Key(flag)
			switch plain := strings.ReplaceAll(strings.TrimLeft(flag, "-"), "_", "-"); {
			case flag == "":
				errs = append(errs, field.Required(path, "the name of a flag stands before the colon, without dashes before it"))
			case flagName.MatchString(plain) && plain != flag:
				errs = append(errs, field.Invalid(path, flag, fmt.Sprintf("write %q: a flag without dashes before it, and with dashes in it", plain)))
			case !flagName.MatchString(flag):
				errs = append(errs, field.Invalid(path, flag, `must be the name of a flag alone, such as "audit-log-maxage"; its value stands behind the colon`))
			case strings.ContainsFunc(s.ExtraArgs[program][flag], unicode.IsControl):
				errs = append(errs, field.Invalid(path, s.ExtraArgs[program][flag], "must be one line"))
			case program == "kube-apiserver" && flag == ShutdownDelay && !isDuration(s.ExtraArgs[program][flag]):
				errs = append(errs, field.Invalid(path, s.ExtraArgs[program][flag], `must be a time such as "30s" or "1m10s"`))
			case slices.Contains(fixed, flag):
				errs = append(errs, field.Forbidden(path, fmt.Sprintf("--%s is decided by the identity and the topology of the cluster", flag)))
			}
		}
	}
	return errs
}
