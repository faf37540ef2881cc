package xray

import (
	"fmt"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// caFlags name CAs that have to be the same on all nodes.
var caFlags = []struct{ what, program, flag string }{
	{"the CA of clients", evidence.APIServer, "client-ca-file"},
	{"the CA that pods are given", evidence.ControllerManager, "root-ca-file"},
	{"the CA of new certificates", evidence.ControllerManager, "cluster-signing-cert-file"},
	{"the front proxy's CA", evidence.APIServer, "requestheader-client-ca-file"},
	{"etcd's CA, for API servers", evidence.APIServer, "etcd-cafile"},
	{"etcd's CA, for clients", evidence.EtcdServer, "trusted-ca-file"},
	{"etcd's CA, for peers", evidence.EtcdServer, "peer-trusted-ca-file"},
}

func caEqual(s *Scene) []Finding {
	var out []Finding
	for _, row := range caFlags {
		var all []said
		for _, p := range s.Instances(row.program) {
			path := p.EtcdSetting(row.flag, "")
			if cas := readable(p.Machine, path); len(cas) > 0 {
				all = append(all, saidCAs(at{p.Machine.Name, path}, cas))
			}
		}
		out = append(out, agree(row.what, all, Fail)...)
	}
	var kubelets []said
	for _, k := range s.Instances(evidence.Kubelet) {
		if cas := readable(k.Machine, kubeletClientCA(k)); len(cas) > 0 {
			kubelets = append(kubelets, saidCAs(at{k.Machine.Name, kubeletClientCA(k)}, cas))
		}
	}
	return append(out, agree("the CA of kubelets' clients", kubelets, Fail)...)
}

func encryptionConfigEqual(s *Scene) []Finding {
	var all []said
	var without []Instance
	var out []Finding
	for _, a := range s.Instances(evidence.APIServer) {
		path, ok := a.Flag("encryption-provider-config")
		if !ok {
			without = append(without, a)
			continue
		}
		digest := a.Machine.Files[path].Digest
		if digest == "" {
			out = append(out, at{a.Machine.Name, path}.skip("the file was not read"))
			continue
		}
		all = append(all, said{at{a.Machine.Name, path}, digest, fmt.Sprintf("SHA-256 %.16s", digest)})
	}
	if len(all)+len(out) == 0 {
		if len(without) == 0 {
			return nil
		}
		return []Finding{at{}.skip("no API server has --encryption-provider-config")}
	}
	for _, a := range without {
		out = append(out, a.at().fail("--encryption-provider-config, as on the others", "no such flag: it cannot read what they encrypt"))
	}
	return append(out, agree("the file", all, Fail)...)
}
