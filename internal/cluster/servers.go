package cluster

// APIServers are the URLs of the API servers by the names of their nodes. Their
// certificates verify under topology.KubernetesName.
func (h *Handle) APIServers() map[string]string {
	out := map[string]string{}
	for _, n := range h.env.topology.ControlPlane() {
		out[n.Name] = n.APIServer()
	}
	return out
}
