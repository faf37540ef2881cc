package collect

import (
	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// toldByAPI are the programs whose versions the API tells.
var toldByAPI = []string{evidence.APIServer, evidence.Kubelet}

// takeVersions gives programs the version that the API tells of their machine's API
// server and kubelet, and of whatever runs from the same file. Asking a program
// of Kubernetes on the machine costs a quarter of a second of its processor.
func takeVersions(s *xray.Scene) {
	for _, m := range s.Machines {
		told := map[string]string{}
		for _, name := range toldByAPI {
			if p, v := m.Program(name), versionOf(s, m, name); p != nil && p.Executable != "" && v != "" {
				told[p.Executable] = v
			}
		}
		for i := range m.Programs {
			if p := &m.Programs[i]; p.Version == "" && p.Executable != "" {
				p.Version = told[p.Executable]
			}
		}
	}
}

func versionOf(s *xray.Scene, m *evidence.Machine, program string) string {
	if program == evidence.APIServer {
		if server := s.Server(m.Name); server != nil {
			return server.Version
		}
		return ""
	}
	if n := s.NodeOf(m); n != nil {
		return n.Status.NodeInfo.KubeletVersion
	}
	return ""
}
