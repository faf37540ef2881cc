package collect

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// openshift adds to an API server or a controller-manager the flags that are in the file of
// --openshift-config: OpenShift's programs parse them after those of the command line, so
// that they count (ConfigToFlags of github.com/openshift/kubernetes).
func (h *host) openshift(p *located) {
	name, ok := p.Flag("openshift-config")
	if !ok || p.Name != evidence.APIServer && p.Name != evidence.ControllerManager {
		return
	}
	text, err := h.read(p.on(name), asText)
	if err != nil {
		h.miss(name, err, readAsRoot)
		return
	}
	h.file(p.place, name, asText)
	config, err := parse.Config(text)
	if err != nil {
		h.miss(name, err, "Mend it: "+p.Name+" cannot read it either when it starts again.")
		return
	}
	p.Argv = slices.Concat(p.Argv, arguments(config, "apiServerArguments"), arguments(config, "extendedArguments"), sniCertificates(config), h.keyFolders(p, config))
	if network, ok := config["servicesSubnet"].(string); ok && p.Name == evidence.APIServer {
		p.Argv = append(p.Argv, "--service-cluster-ip-range="+network)
	}
}

// arguments are lists of values by the names of flags.
func arguments(config map[string]any, section string) []string {
	var out []string
	all, _ := config[section].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		values, _ := all[name].([]any)
		for _, v := range values {
			out = append(out, fmt.Sprintf("--%s=%v", name, v))
		}
	}
	return parse.RedactArgv(out)
}

// sniCertificates are those that the API server shows by the name that it is asked for.
func sniCertificates(config map[string]any) []string {
	var out []string
	serving, _ := config["servingInfo"].(map[string]any)
	all, _ := serving["namedCertificates"].([]any)
	for _, one := range all {
		pair, _ := one.(map[string]any)
		if cert, ok := pair["certFile"].(string); ok {
			out = append(out, fmt.Sprintf("--tls-sni-cert-key=%s,%v", cert, pair["keyFile"]))
		}
	}
	return out
}

// keyFolders are the keys of service accounts: all files of folders, of which --service-account-key-file
// could name one alone.
func (h *host) keyFolders(p *located, config map[string]any) []string {
	var out []string
	folders, _ := config["serviceAccountPublicKeyFiles"].([]any)
	for _, f := range folders {
		folder, _ := f.(string)
		pattern := path.Clean(p.on(folder)) + "/*"
		h.glob(pattern, asKey) // as tokenKeys looks at them, and in the same round
		for _, file := range h.glob(pattern, asPEM) {
			out = append(out, "--service-account-key-file="+path.Join(folder, path.Base(file)))
		}
	}
	return out
}
