package cluster

import (
	"errors"
	"fmt"

	"golang.org/x/mod/semver"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// alone says why the machines of a cluster cannot be made anew one after another; "" where they can.
func alone(c *spec.Cluster) string {
	t := topology.New(c)
	switch {
	case len(t.ControlPlane()) < 2:
		return "the cluster has one control-plane node"
	case len(t.EtcdMembers()) < 2:
		return "the cluster has one etcd member"
	}
	return ""
}

// another is the command that makes them more than one.
func another(c *spec.Cluster) string {
	t, role := topology.New(c), spec.RoleControlPlane
	if len(t.ControlPlane()) > 1 { // so etcd has a machine of its own
		role = spec.RoleEtcd
	}
	return fmt.Sprintf("haplane node add --role %s --cluster %s", role, t.Name)
}

// noWayBack says why an upgrade cannot be taken back, from no step of it; "" where it can from each.
func (u *Upgrade) noWayBack(c *spec.Cluster) string {
	if why := alone(c); why != "" {
		return "haplane upgrade --back makes machines anew, and " + why
	}
	return u.etcdStays
}

// etcdSkew says why etcd's members cannot go from one version to another, one after another; "" where they can, or a version is not known.
// A member of a newer minor version joins the others as one of theirs, if it is the next one; one of an older does not start once all
// had the newer (etcd's upgrade guides, server/etcdserver/version/downgrade.go).
func etcdSkew(from, to string) string {
	was, is := semver.MajorMinor(from), semver.MajorMinor(to)
	switch {
	case was == "" || is == "" || was == is || nextMinor(from) == is:
		return ""
	case semver.Compare(is, was) < 0:
		return fmt.Sprintf("etcd would go from %s to %s, and does not start with data of a newer minor version", from, to)
	}
	return fmt.Sprintf("etcd would go from %s to %s, and its members skip no minor version: next is %s", from, to, nextMinor(from))
}

// checkAlone is an error where an upgrade, or the way back, would make the only machine anew that has the API or the data.
func (u *Upgrade) checkAlone(c *spec.Cluster) error {
	why := alone(c)
	switch {
	case why == "" || u.InPlace:
		return nil
	case u.Down:
		return withHint(&change.Refused{Step: "upgrade --back", Err: fmt.Errorf("%s, and the way back to %s makes machines anew: nobody would serve meanwhile", why, u.To)},
			fmt.Sprintf("an upgrade that was cut off goes on with haplane upgrade --resume; a second one makes the way back possible: %s", another(c)))
	}
	return withHint(&change.Refused{Step: "upgrade", Err: errors.New(why + ", and nobody would serve while its machine is made anew")},
		fmt.Sprintf("--in-place leaves the machines, where nothing but programs and container images differ; a second one makes the other way possible: %s", another(c)))
}
