package look

import (
	"path"
	"strings"

	"github.com/haplane/haplane/internal/topology"
)

// kubeletClient and kubeletServer begin the names of the certificates that a kubelet got by itself: each
// in a file of its time, and a link to the one that it uses.
const (
	kubeletClient  = "kubelet-client-"
	kubeletServer  = "kubelet-server-"
	kubeletCurrent = "current.pem"
)

// KubeletsOwn reports whether a file is a certificate that a kubelet keeps and renews itself.
func KubeletsOwn(file string) bool {
	name := path.Base(file)
	return path.Dir(file) == topology.KubeletPKIDir && (strings.HasPrefix(name, kubeletClient) || strings.HasPrefix(name, kubeletServer))
}

// KubeletServes reports whether it is one of these that it serves.
func KubeletServes(file string) bool {
	return KubeletsOwn(file) && strings.HasPrefix(path.Base(file), kubeletServer)
}

// Superseded reports whether it is one that the link to the current one leads to, or led to before.
func Superseded(file string) bool {
	name := path.Base(file)
	return KubeletsOwn(file) && name != kubeletClient+kubeletCurrent && name != kubeletServer+kubeletCurrent
}
