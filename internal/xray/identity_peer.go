package xray

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// interoperability is the feature by which API servers pass requests on to each
// other; beta, and on, since the version (k8s.io/apiserver/pkg/features).
const (
	interoperability      = "UnknownVersionInteroperabilityProxy"
	interoperabilitySince = "1.36.0"
)

func peerAdvertiseIP(s *Scene) []Finding {
	var out []Finding
	for _, a := range s.Instances(evidence.APIServer) {
		out = append(out, s.judgePeer(a))
	}
	return out
}

func (s *Scene) judgePeer(a Instance) Finding {
	own, tell := s.advertisesOwn(a)
	on, how := s.passesOn(a)
	switch {
	case on == "" && (tell == "" || !own):
		return a.at().skip("%s", how)
	case on == "false" && tell != "" && !own:
		return a.at().pass("%s", how)
	case on == "false":
		return a.at().skip("%s: no request is passed on", how)
	case tell == "":
		return a.at().skip("%s; whether it advertises an address of its own is not known", how)
	case own:
		return s.judgePublished(a)
	}
	expected, observed := interoperability+"=false", fmt.Sprintf("%s; it publishes %s, which all share", how, s.published(a))
	if !s.peersAsk() {
		return a.at().warn(expected, observed+"; no API server has --peer-ca-file, so none uses it yet")
	}
	return a.at().fail(expected, observed)
}

// judgePublished is about an API server that advertises its own address.
func (s *Scene) judgePublished(a Instance) Finding {
	expected := "an address of its own"
	if own := s.ownName(a.Machine); len(own) > 0 {
		expected = "--peer-advertise-ip=" + own[0]
	}
	ip, set := a.Flag("peer-advertise-ip")
	flag := addresses([]string{ip})
	annotated := addresses([]string{host(s.annotated(a))})
	switch known := len(s.addressesOf(a.Machine)) > 0; {
	case set && len(flag) == 0:
		return a.at().fail(expected, "--peer-advertise-ip="+ip)
	case set && known && !s.isOwn(a.Machine, flag[0]):
		return a.at().fail(expected, fmt.Sprintf("--peer-advertise-ip=%s, which is not its own", ip))
	case len(annotated) > 0 && known && !s.isOwn(a.Machine, annotated[0]):
		return a.at().fail(expected, fmt.Sprintf("its Lease has %s, which is not its own", s.annotated(a)))
	case set:
		return a.at().pass("--peer-advertise-ip=%s", ip)
	case a.FlagOr("peer-ca-file", "") != "":
		return a.at().warn(expected, "--peer-ca-file without --peer-advertise-ip: it publishes "+s.published(a))
	case s.peersAsk():
		return a.at().warn("--peer-ca-file, as on others", "no --peer-ca-file: it passes no request on")
	}
	return a.at().pass("no --peer-ca-file: no request is passed on, and it publishes %s, its own", s.published(a))
}

// passesOn tells whether the feature is on: by the gate, by flags that are refused
// without it, by the version. "" where nothing tells.
func (s *Scene) passesOn(a Instance) (on, how string) {
	gates := strings.Split(featureGates(a), ", ")
	for _, set := range []string{"true", "false"} {
		if slices.Contains(gates, interoperability+"="+set) {
			return set, interoperability + "=" + set
		}
	}
	for _, flag := range []string{"peer-advertise-ip", "peer-advertise-port", "peer-ca-file"} {
		if v := a.FlagOr(flag, ""); v != "" {
			return "true", "--" + flag + "=" + v
		}
	}
	v := s.apiServerVersion(a)
	if v == nil {
		return "", "whether " + interoperability + " is on depends on the version, which was not seen"
	}
	if v.LessThan(version.MustParseGeneric(interoperabilitySince)) {
		return "false", fmt.Sprintf("%s is off unless set in %s", interoperability, v)
	}
	return "true", fmt.Sprintf("%s is on by default in %s", interoperability, v)
}

func (s *Scene) apiServerVersion(a Instance) *version.Version {
	for _, v := range s.versionsOf(evidence.APIServer) {
		if v.at.node == a.Machine.Name {
			return v.parse()
		}
	}
	if s.API != nil { // of whichever answered
		return versioned{text: s.API.Version}.parse()
	}
	return nil
}

// peersAsk tells whether any API server passes requests on: without the CA of its
// peers it does not.
func (s *Scene) peersAsk() bool {
	return slices.ContainsFunc(s.Instances(evidence.APIServer), func(a Instance) bool { return a.FlagOr("peer-ca-file", "") != "" })
}

// annotated is the address that an API server has in its Lease, host:port; "" where
// that was not seen.
func (s *Scene) annotated(a Instance) string {
	if s.API == nil {
		return ""
	}
	for _, l := range s.API.Leases {
		name := l.Labels[corev1.LabelHostname]
		if l.Labels["apiserver.kubernetes.io/identity"] != "" && name != "" && (name == a.Machine.Hostname || name == a.Machine.Name) {
			return l.Annotations[corev1.AnnotationPeerAdvertiseAddress]
		}
	}
	return ""
}

// published is where the others find an API server, as seen or as it follows.
func (s *Scene) published(a Instance) string {
	if text := s.annotated(a); text != "" {
		return text
	}
	return a.FlagOr("advertise-address", "the address of its default route")
}
