package parse

import (
	"encoding/base64"
	"fmt"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A KubeconfigFile is a kubeconfig with the certificates that it contains or names.
// It has no fields for keys and tokens, so that they are dropped as they are read.
type KubeconfigFile struct {
	evidence.Kubeconfig
	ClientCerts []evidence.Certificate // embedded; nil where there are none
	CACerts     []evidence.Certificate
	ClientPath  string // files that it names
	CAPath      string
	KeyPath     string
}

// rawKubeconfig is what is read of one.
type rawKubeconfig struct {
	CurrentContext string `json:"current-context"`
	Contexts       []struct {
		Name    string
		Context struct{ Cluster, User string }
	} `json:"contexts"`
	Clusters []struct {
		Name    string
		Cluster struct {
			Server     string
			ServerName string `json:"tls-server-name"`
			Insecure   bool   `json:"insecure-skip-tls-verify"`
			CA         string `json:"certificate-authority"`
			CAData     string `json:"certificate-authority-data"`
		}
	} `json:"clusters"`
	Users []struct {
		Name string
		User struct {
			Certificate     string `json:"client-certificate"`
			CertificateData string `json:"client-certificate-data"`
			Key             string `json:"client-key"`
		}
	} `json:"users"`
}

// Kubeconfig reads a kubeconfig; what is wrong with it is in Err.
func Kubeconfig(path, text string) KubeconfigFile {
	out := KubeconfigFile{Kubeconfig: evidence.Kubeconfig{Path: path}}
	var raw rawKubeconfig
	if err := readYAML(text, &raw); err != nil {
		out.Err = fmt.Sprintf("not a kubeconfig: %v", err)
		return out
	}
	out.Context = raw.CurrentContext
	if raw.CurrentContext == "" {
		out.Err = "no current-context"
		return out
	}
	for _, c := range raw.Contexts {
		if c.Name == raw.CurrentContext {
			out.Err = out.take(raw, c.Context.Cluster, c.Context.User)
			return out
		}
	}
	out.Err = fmt.Sprintf("no context %q, which is current-context", raw.CurrentContext)
	return out
}

// take takes over the cluster and the user of the current context, and returns
// what is missing.
func (k *KubeconfigFile) take(raw rawKubeconfig, cluster, user string) string {
	missing := fmt.Sprintf("context %q names cluster %q, which is not there", raw.CurrentContext, cluster)
	for _, c := range raw.Clusters {
		if c.Name == cluster {
			k.Server, k.ServerName, k.Insecure = Redact(c.Cluster.Server), c.Cluster.ServerName, c.Cluster.Insecure
			k.CAPath, k.CACerts = c.Cluster.CA, embedded(c.Cluster.CAData)
			missing = ""
		}
	}
	if missing == "" && k.Server == "" {
		missing = fmt.Sprintf("cluster %q has no server", cluster)
	}
	k.User = user
	for _, u := range raw.Users {
		if u.Name == user {
			k.ClientPath, k.KeyPath, k.ClientCerts = u.User.Certificate, u.User.Key, embedded(u.User.CertificateData)
			return missing
		}
	}
	if missing == "" {
		missing = fmt.Sprintf("context %q names user %q, who is not there", raw.CurrentContext, user)
	}
	return missing
}

func embedded(data string) []evidence.Certificate {
	if data == "" {
		return nil
	}
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return []evidence.Certificate{{Err: "not base64: " + err.Error()}}
	}
	return Certificates(string(text))
}
