package collect

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A Kubeconfig says how to ask the API. It is a path, or content with a name;
// with neither, it is the user's: $KUBECONFIG, else ~/.kube/config.
type Kubeconfig struct {
	Path    string
	Content []byte
	Name    string // of the content, in messages
	Context string // "" takes the current one
}

// Contexts lists the contexts of a kubeconfig, for completion.
func (k Kubeconfig) Contexts() []string {
	config, err := k.load()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(config.Contexts))
}

// Config reads a kubeconfig. What is wrong with it is missing evidence that names
// file and field.
func (k Kubeconfig) Config() (config *rest.Config, context string, missing *evidence.Missing) {
	loaded, err := k.load()
	if err != nil {
		return nil, "", k.missing("", err.Error(), "Name a kubeconfig that can be read.")
	}
	context = k.Context
	if context == "" {
		context = loaded.CurrentContext
	}
	if wrong := k.check(loaded, context); wrong != nil {
		return nil, context, wrong
	}
	config, err = clientcmd.NewNonInteractiveClientConfig(*loaded, context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, context, k.missing("contexts."+context, err.Error(), "Correct it.")
	}
	return config, context, nil
}

func (k Kubeconfig) load() (*api.Config, error) {
	if k.Content != nil {
		return clientcmd.Load(k.Content)
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.WarnIfAllMissing = false
	rules.ExplicitPath = k.Path
	return rules.Load()
}

// check finds what kubectl would only tell as a default server that refuses.
func (k Kubeconfig) check(config *api.Config, name string) *evidence.Missing {
	contexts := strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", ")
	choose := "Choose one with --context: " + contexts + "."
	if contexts == "" {
		choose = "Name a kubeconfig that has contexts."
	}
	if name == "" {
		return k.missing("current-context", "it is not set", choose)
	}
	context := config.Contexts[name]
	if context == nil {
		return k.missing("contexts", fmt.Sprintf("there is no context %q", name), choose)
	}
	cluster := config.Clusters[context.Cluster]
	if cluster == nil {
		return k.missing("contexts."+name+".cluster", fmt.Sprintf("there is no cluster %q", context.Cluster), "Add it to clusters, or name another.")
	}
	if u, err := url.Parse(cluster.Server); err != nil || u.Host == "" {
		return k.missing("clusters."+context.Cluster+".server", fmt.Sprintf("%q is not a URL", cluster.Server), "Set it to the URL of the API, such as https://10.10.10.3:6443.")
	}
	if context.AuthInfo != "" && config.AuthInfos[context.AuthInfo] == nil {
		return k.missing("contexts."+name+".user", fmt.Sprintf("there is no user %q", context.AuthInfo), "Add it to users, or name another.")
	}
	return nil
}

func (k Kubeconfig) missing(field, err, fix string) *evidence.Missing {
	source := k.source()
	if field != "" {
		source += ": " + field
	}
	return &evidence.Missing{Way: evidence.API, Source: source, Err: err, Fix: fix}
}

func (k Kubeconfig) source() string {
	switch {
	case k.Path != "":
		return k.Path
	case k.Content != nil:
		return k.Name
	}
	return strings.Join(clientcmd.NewDefaultClientConfigLoadingRules().Precedence, ":")
}
