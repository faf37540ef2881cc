package xray

import (
	"fmt"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func etcdSameVersion(s *Scene) []Finding {
	var all []versioned
	for _, m := range s.Machines {
		p := m.Program(evidence.EtcdServer)
		v := versioned{}
		switch {
		case m.Etcd != nil && m.Etcd.Err == "" && m.Etcd.Version != "":
			v = versioned{at{m.Name, m.Etcd.Endpoint}, m.Etcd.Version}
		case p != nil:
			v = versioned{Instance{p, m}.at(), p.Version}
		}
		// An image's tag has a revision after the version that a member says.
		if parsed := v.parse(); parsed != nil {
			v.text = fmt.Sprintf("%d.%d.%d", parsed.Major(), parsed.Minor(), parsed.Patch())
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return nil
	}
	common := mostCommon(all, func(v versioned) string { return v.text })
	var out []Finding
	for _, v := range all {
		if v.text != common {
			out = append(out, v.etcdAgainst(versioned{text: common}))
		}
	}
	return orPass(out, at{}, "%s on %s", common, plural(len(all), "member"))
}

func (v versioned) etcdAgainst(common versioned) Finding {
	apart := max(minorsBehind(v, common), minorsBehind(common, v))
	if apart < 0 || apart > 1 {
		return v.at.fail(common.text+", as the others", v.text+": more than one minor version apart")
	}
	return v.at.warn(common.text+", as the others", v.text)
}
