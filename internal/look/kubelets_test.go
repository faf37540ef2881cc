package look

import "testing"

func TestWhatKubeletsRenew(t *testing.T) {
	for file, want := range map[string][2]bool{ // its own; superseded
		"/var/lib/kubelet/pki/kubelet-client-current.pem":             {true, false},
		"/var/lib/kubelet/pki/kubelet-client-2026-11-28-13-51-04.pem": {true, true},
		"/var/lib/kubelet/pki/kubelet-server-current.pem":             {true, false},
		"/var/lib/kubelet/pki/kubelet-server-2026-11-28-13-51-04.pem": {true, true},
		"/var/lib/kubelet/pki/kubelet.crt":                            {},
		"/var/lib/kubelet/pki/kubelet.key":                            {},
		"/etc/kubernetes/pki/kubelet-client-current.pem":              {},
		"/etc/kubernetes/pki/apiserver-kubelet-client.crt":            {},
	} {
		if got := [2]bool{KubeletsOwn(file), Superseded(file)}; got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}
