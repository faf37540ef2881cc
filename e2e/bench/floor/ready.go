package floor

import (
	"context"
	"net"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/topology"
)

// A readiness is who has to answer: the same that `haplane up` asks, each with
// its certificate verified.
type readiness struct{ nodes, loadBalancer []*kubeapi.Client }

func newReadiness(o Options, network *network) (*readiness, error) {
	r := &readiness{}
	for _, n := range o.Topology.ControlPlane() {
		c, err := o.client(network, n.APIServer(), topology.KubernetesName)
		if err != nil {
			return nil, err
		}
		r.nodes = append(r.nodes, c)
	}
	c, err := o.client(network, o.Topology.APIEndpoint(), "")
	r.loadBalancer = []*kubeapi.Client{c}
	return r, err
}

// client has the administrator's certificate and dials inside the network.
func (o Options) client(network *network, server, serverName string) (*kubeapi.Client, error) {
	data, err := os.ReadFile(o.rendered(o.Topology.ControlPlane()[0].Name, topology.KubernetesDir, "admin.conf"))
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.Host, config.TLSClientConfig.ServerName = server, serverName
	config.Dial = func(ctx context.Context, kind, address string) (conn net.Conn, err error) {
		err = network.thread.Do(func() error {
			conn, err = new(net.Dialer).DialContext(ctx, kind, address)
			return err
		})
		return conn, err
	}
	return kubeapi.New(config)
}
