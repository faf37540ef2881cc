// Package kubeconfig builds the kubeconfig of a cluster, and puts it into and takes
// it out of the files that kubectl reads.
package kubeconfig

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Entry is what clusters, users and contexts of haplane are called in a kubeconfig.
func Entry(cluster string) string { return "haplane-" + cluster }

// A Config is what one client needs to reach one cluster.
type Config struct {
	Cluster       string // the cluster's name, without the prefix
	Server        string // such as https://10.10.10.3:6443
	TLSServerName string // checked in place of the server's address when not empty
	CA            []byte // PEM
	Cert, Key     []byte // PEM; the key ends up in the result
}

// Bytes is c as a kubeconfig with everything embedded. The same c gives the same bytes.
func (c Config) Bytes() ([]byte, error) {
	data, err := clientcmd.Write(*c.config())
	if err != nil {
		return nil, fmt.Errorf("encode kubeconfig of %s: %w", c.Cluster, err)
	}
	return data, nil
}

func (c Config) config() *api.Config {
	name := Entry(c.Cluster)
	return &api.Config{
		Clusters: map[string]*api.Cluster{name: {
			Server: c.Server, TLSServerName: c.TLSServerName, CertificateAuthorityData: c.CA,
		}},
		AuthInfos: map[string]*api.AuthInfo{name: {
			ClientCertificateData: c.Cert, ClientKeyData: c.Key,
		}},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}
}

// has reports whether anything of the name is in the kubeconfig.
func has(config *api.Config, name string) bool {
	return config.Clusters[name] != nil || config.AuthInfos[name] != nil || config.Contexts[name] != nil
}

// put adds the entries of c to the kubeconfig, over older ones of the same name.
// A namespace that the user set in our context stays.
func put(config *api.Config, c Config) {
	name, ours := Entry(c.Cluster), c.config()
	context := ours.Contexts[name]
	if old := config.Contexts[name]; old != nil {
		context.Namespace = old.Namespace
	}
	config.Clusters[name] = ours.Clusters[name]
	config.AuthInfos[name] = ours.AuthInfos[name]
	config.Contexts[name] = context
}

// drop takes the entries of the name out, and says whether there was anything.
func drop(config *api.Config, name string) bool {
	found := has(config, name) || config.CurrentContext == name
	delete(config.Clusters, name)
	delete(config.AuthInfos, name)
	delete(config.Contexts, name)
	if config.CurrentContext == name {
		config.CurrentContext = ""
	}
	return found
}
