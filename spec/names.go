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
	if name == localhost {
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
	case name == localhost || strings.HasSuffix(name, "."+localhost):
		return "is the machine itself wherever it is asked for; write another name"
	}
	problems := validation.IsDNS1123Subdomain(name)
	for _, label := range strings.Split(name, ".") {
		if len(problems) == 0 {
			problems = validation.IsDNS1123Label(label)
		}
	}
	return strings.Join(problems, ", ")
}
