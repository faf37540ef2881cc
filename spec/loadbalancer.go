package spec

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const kubeletPort = 10250

// occupied are the ports of the load balancer's machine that other programs have.
var occupied = map[int]string{22: "sshd, by which machines are reached"}

func checkLoadBalancer(at *field.Path, s *Spec) field.ErrorList {
	errs := oneOf(at.Child("kind"), s.LoadBalancer.Kind, Dedicated, OnControlPlane, ExternalBalancer)
	errs = append(errs, checkPorts(at, s.LoadBalancer)...)
	errs = append(errs, checkBeside(at, s.LoadBalancer)...)
	errs = append(errs, checkDNSNames(at.Child("dnsNames"), s)...)
	if lbs := s.nodesOf(RoleLoadBalancer); len(lbs) > 1 && !s.Virtual() && s.LoadBalancer.Address != "" {
		i := slices.IndexFunc(lbs, func(n Node) bool { return sameAddress(n.Address, s.LoadBalancer.Address) })
		errs = append(errs, field.Invalid(at.Child("address"), s.LoadBalancer.Address,
			fmt.Sprintf("is the address of node %s: several load balancers move an address between them that is none of their own; leave one of the two out", lbs[i].Name)))
	}
	return errs
}

// noBalancers says of the nodes of role load-balancer that a kind has no use for them.
func noBalancers(nodes *field.Path, s *Spec) field.ErrorList {
	where := map[BalancerKind]string{OnControlPlane: "the control-plane nodes balance the load themselves", ExternalBalancer: "the load balancer is none of haplane's"}[s.LoadBalancer.Kind]
	var errs field.ErrorList
	for i, n := range s.Nodes {
		if where != "" && n.Role == RoleLoadBalancer {
			errs = append(errs, field.Invalid(nodes.Index(i).Child("role"), n.Role, fmt.Sprintf(
				"with spec.loadBalancer.kind %q %s; remove this node; a new cluster may have it without kind", s.LoadBalancer.Kind, where)))
		}
	}
	return errs
}

// checkAlone wants one load balancer to have the address that clients use: it is one of several that is left where it is
// another, and a cluster has that by becoming so.
func checkAlone(at *field.Path, s *Spec) field.ErrorList {
	lbs := s.nodesOf(RoleLoadBalancer)
	if len(lbs) != 1 || !s.ownBalancers() || !s.Virtual() || lbs[0].Address == "" || s.LoadBalancer.Address == "" {
		return nil
	}
	return field.ErrorList{field.Invalid(at, s.LoadBalancer.Address,
		fmt.Sprintf("must be the address of node %s (%s); leave one of the two out", lbs[0].Name, lbs[0].Address))}
}

// The ports that kube-proxy takes for Services of type NodePort and LoadBalancer, on all addresses of a node.
const firstNodePort, lastNodePort = 30000, 32767

// checkBeside wants ports that a control-plane node has no other use for, where it is a load balancer too.
func checkBeside(at *field.Path, lb LoadBalancer) field.ErrorList {
	if lb.Kind != OnControlPlane {
		return nil
	}
	var errs field.ErrorList
	check := func(at *field.Path, port int) {
		switch {
		case port == kubeletPort:
			errs = append(errs, field.Invalid(at, port, "is the port of kubelet on the control-plane nodes, which are the load balancers; write another one"))
		case port >= firstNodePort && port <= lastNodePort:
			errs = append(errs, field.Invalid(at, port, fmt.Sprintf("is one of those that kube-proxy takes for Services on the control-plane nodes (%d to %d), which are the load balancers; write another one", firstNodePort, lastNodePort)))
		}
	}
	check(at.Child("port"), lb.Port)
	for i, port := range lb.AdditionalPorts {
		check(at.Child("additionalPorts").Index(i), port)
	}
	return errs
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
