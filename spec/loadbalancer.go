package spec

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// occupied are the ports of the load balancer's machine that other programs have.
var occupied = map[int]string{22: "sshd, by which machines are reached"}

func checkLoadBalancer(at *field.Path, s *Spec) field.ErrorList {
	errs := checkPorts(at, s.LoadBalancer)
	errs = append(errs, checkDNSNames(at.Child("dnsNames"), s)...)
	if lbs := s.nodesOf(RoleLoadBalancer); len(lbs) > 1 && !s.Virtual() && s.LoadBalancer.Address != "" {
		i := slices.IndexFunc(lbs, func(n Node) bool { return sameAddress(n.Address, s.LoadBalancer.Address) })
		errs = append(errs, field.Invalid(at.Child("address"), s.LoadBalancer.Address,
			fmt.Sprintf("is the address of node %s: several load balancers move an address between them that is none of their own; leave one of the two out", lbs[i].Name)))
	}
	return errs
}

// checkAlone wants one load balancer to have the address that clients use: it is one of several that is left where it is
// another, and a cluster has that by becoming so.
func checkAlone(at *field.Path, s *Spec) field.ErrorList {
	lbs := s.nodesOf(RoleLoadBalancer)
	if len(lbs) != 1 || !s.Virtual() || lbs[0].Address == "" || s.LoadBalancer.Address == "" {
		return nil
	}
	return field.ErrorList{field.Invalid(at, s.LoadBalancer.Address,
		fmt.Sprintf("must be the address of node %s (%s); leave one of the two out", lbs[0].Name, lbs[0].Address))}
}

func checkPorts(at *field.Path, lb LoadBalancer) field.ErrorList {
	var errs field.ErrorList
	seen := map[int]string{}
	check := func(at *field.Path, port int, name string) {
		if other, ok := seen[port]; ok {
			errs = append(errs, field.Duplicate(at, port))
			errs[len(errs)-1].Detail = fmt.Sprintf("%s is this port; remove one of the two", other)
			return
		}
		seen[port] = name
		for _, msg := range validation.IsValidPortNum(port) {
			errs = append(errs, field.Invalid(at, port, msg))
		}
		if program := occupied[port]; program != "" {
			errs = append(errs, field.Invalid(at, port, fmt.Sprintf("is the port of %s; write another one", program)))
		}
	}
	check(at.Child("port"), lb.Port, "port")
	for i, port := range lb.AdditionalPorts {
		check(at.Child("additionalPorts").Index(i), port, fmt.Sprintf("additionalPorts[%d]", i))
	}
	return errs
}
