package spec

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const localhost = "localhost"

// checkOwnName is checkName for a name that is looked up: localhost is each machine itself.
func checkOwnName(at *field.Path, name string) field.ErrorList {
	if isLocalhost(name) {
		return field.ErrorList{field.Invalid(at, name, "is what every machine calls itself; write another name")}
	}
	return checkName(at, name)
}

// CertificateNames are the names that the serving certificate of API servers has by itself.
func CertificateNames(domain string) []string {
	const name = "kubernetes.default"
	return []string{"kubernetes", name, name + ".svc", name + ".svc." + domain, localhost}
}

func checkDNSNames(at *field.Path, s *Spec) field.ErrorList {
	var errs field.ErrorList
	for i, name := range s.LoadBalancer.DNSNames {
		problem := dnsName(name, "api.example.com")
		switch first := slices.Index(s.LoadBalancer.DNSNames, name); {
		case problem != "":
		case slices.Contains(CertificateNames(s.Network.DNSDomain), name):
			problem = "is in the certificate anyway; remove it"
		case first < i:
			errs = append(errs, field.Duplicate(at.Index(i), name))
			errs[len(errs)-1].Detail = fmt.Sprintf("dnsNames[%d] has this name; remove one of the two", first)
		}
		if problem != "" {
			errs = append(errs, field.Invalid(at.Index(i), name, problem))
		}
	}
	return errs
}

func checkDomain(at *field.Path, name string) field.ErrorList {
	if problem := dnsName(name, DefaultDNSDomain); problem != "" {
		return field.ErrorList{field.Invalid(at, name, problem)}
	}
	return nil
}

var endsInNumber = regexp.MustCompile(`(^|\.)[0-9]+$`)

// dnsName tells why a text is no DNS name that others resolve, or is "".
func dnsName(name, example string) string {
	_, noAddress := netip.ParseAddr(name)
	switch {
	case noAddress == nil || endsInNumber.MatchString(name):
		return fmt.Sprintf("is an IP address or looks like one; write a DNS name such as %q", example)
	case strings.Contains(name, "*"):
		return fmt.Sprintf("is a wildcard; write each name in full, such as %q", example)
	case isLocalhost(strings.TrimSuffix(strings.ToLower(name), ".")):
		return "is the machine itself wherever it is asked for; write another name"
	case strings.HasSuffix(name, "."):
		return dotless(name, example)
	}
	return nameProblem(name, strings.Split(name, ".")...)
}

func dotless(name, example string) string {
	if bare := strings.TrimRight(name, "."); bare != "" {
		example = bare
	}
	return fmt.Sprintf("ends in a dot; write %q", example)
}

// isLocalhost tells names by which machines call themselves: those of RFC 6761, and of /etc/hosts as
// distributions ship it.
func isLocalhost(name string) bool {
	return name == localhost || strings.HasSuffix(name, "."+localhost) || strings.HasSuffix(name, ".localhost.localdomain") ||
		slices.Contains([]string{"localhost.localdomain", "localhost4.localdomain4", "localhost6.localdomain6", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}, name)
}

// nameProblem tells in words why a name is not that of something in DNS by RFC 1123, or is "".
func nameProblem(name string, labels ...string) string {
	valid := func(label string) bool { return len(validation.IsDNS1123Label(label)) == 0 }
	for _, label := range labels {
		switch lower := strings.ToLower(label); {
		case valid(label):
		case len(label) > validation.DNS1123LabelMaxLength:
			return fmt.Sprintf("has %d characters between dots; it must be no more than %d", len(label), validation.DNS1123LabelMaxLength)
		case label == "":
			return "has nothing between two dots, or at its beginning"
		case valid(lower):
			return fmt.Sprintf("has capital letters; write %q", strings.ToLower(name))
		default:
			return "must be of letters from a to z, digits and dashes, and begin and end with a letter or a digit"
		}
	}
	if len(name) > validation.DNS1123SubdomainMaxLength {
		return fmt.Sprintf("has %d characters; it must be no more than %d", len(name), validation.DNS1123SubdomainMaxLength)
	}
	return ""
}
