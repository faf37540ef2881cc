package xray

import (
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func lbPassthrough(s *Scene) []Finding {
	return s.configured(func(b balancer) []Finding {
		return orPass(slices.Concat(readsHTTP(b), touchesTLS(b)), b.at(), "it passes sessions on as they are")
	})
}

// readsHTTP tells of sections that take a session for HTTP, though what comes is TLS.
func readsHTTP(b balancer) []Finding {
	switch {
	case len(b.HTTPMode) == 0 || len(b.EndsTLS) > 0: // TLS ends before it
		return nil
	case b.Kind == evidence.Nginx:
		return []Finding{b.at().fail("API servers balanced in stream {}", "they are in "+list(b.HTTPMode)+", and it listens without TLS: no client can shake hands")}
	}
	observed := "mode http: " + list(b.HTTPMode) + "; no TLS session passes"
	if isFront := func(name string) bool { return strings.HasPrefix(name, "frontend ") }; slices.ContainsFunc(b.HTTPMode, isFront) &&
		!slices.ContainsFunc(b.HTTPMode, func(name string) bool { return strings.HasPrefix(name, "backend ") }) {
		observed += ", and HAProxy does not start with a frontend in mode http whose backend is in mode tcp"
	}
	return []Finding{b.at().fail("mode tcp", observed)}
}

// touchesTLS tells of sessions that do not reach API servers as clients sent them.
func touchesTLS(b balancer) []Finding {
	var out []Finding
	if len(b.EndsTLS) > 0 {
		out = append(out, b.at().fail("TLS that ends at the API servers", "it ends at "+list(b.EndsTLS)+": client certificates do not get further, and kubelets, controllers and administrators are nobody"))
		if len(b.AddsTLS) == 0 {
			out = append(out, b.at().fail("TLS towards the servers", "sessions go on without: API servers speak TLS only"))
		}
	}
	if len(b.AddsTLS) > 0 && len(b.EndsTLS) == 0 && len(b.HTTPMode) == 0 {
		out = append(out, b.at().fail("sessions that go on as they are", "they are put into another TLS session to "+list(b.AddsTLS)+": API servers find TLS inside where they expect HTTP"))
	}
	if len(b.SendsProxy) > 0 {
		out = append(out, b.at().fail("sessions that go on as they are", "they begin with a PROXY header to "+list(b.SendsProxy)+", which API servers do not understand"))
	}
	return out
}
