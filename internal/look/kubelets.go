package look

import (
	"path"
	"strings"

	"github.com/haplane/haplane/internal/topology"
)

// kubeletClient begins the names of the client certificates that a kubelet got by itself: each
// in a file of its time, and a link to the one that it uses.
const (
	kubeletClient  = "kubelet-client-"
	kubeletCurrent = kubeletClient + "current.pem"
)

// KubeletsOwn reports whether a file is a client certificate that a kubelet keeps and renews itself.
func KubeletsOwn(file string) bool {
	return path.Dir(file) == topology.KubeletPKIDir && strings.HasPrefix(path.Base(file), kubeletClient)
}

// Superseded reports whether it is one that the link to the current one leads to, or led to before.
func Superseded(file string) bool {
	return KubeletsOwn(file) && path.Base(file) != kubeletCurrent
}
