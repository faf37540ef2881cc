package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// A VersionError says why a cluster cannot have the version that was asked for.
type VersionError struct{ Err error }

func (e *VersionError) Error() string { return e.Err.Error() }
func (e *VersionError) Unwrap() error { return e.Err }

// UpgradeTo asks for another version of Kubernetes, in full or by its minor, with all else that this haplane
// builds with it. One that was cut off goes on.
func (h *Handle) UpgradeTo(asked string) (Request, error) {
	record, from, err := h.forUpgrade()
	if err != nil {
		return Request{}, err
	}
	if err := checkVersions(from, asked, false); err != nil && record.Change == nil {
		return Request{}, &VersionError{err}
	}
	source, err := component.SourceDir()
	if err != nil {
		return Request{}, err
	}
	to, err := component.Resolve(source, asked)
	if err == nil && record.Change == nil { // a minor may mean a patch of before the cluster's
		err = checkVersions(from, to, false)
	}
	if err != nil {
		return Request{}, &VersionError{err}
	}
	if c := record.Change; c != nil && c.Upgrade.To == to {
		return h.ResumeUpgrade()
	} else if c != nil {
		return Request{}, withHint(fmt.Errorf("an upgrade from %s to %s was cut off", c.Upgrade.From, c.Upgrade.To),
			(&Upgrade{From: c.Upgrade.From, Down: c.Upgrade.Down}).wayOn(h.env.cluster))
	}
	return h.upgradeRequest(asked, &Upgrade{From: from, To: to})
}

// ResumeUpgrade goes on with an upgrade that was cut off, or with the way back.
func (h *Handle) ResumeUpgrade() (Request, error) {
	record, err := h.env.Store.Record()
	if err != nil {
		return Request{}, err
	}
	if record.Change == nil || record.Change.Upgrade == nil {
		return Request{}, withHint(errors.New("no upgrade was cut off: there is nothing to go on with"), "haplane status --cluster "+h.env.Store.Name())
	}
	q := h.Request()
	q.goOnUpgrading(record)
	return q, nil
}

// UpgradeBack asks for the versions that the cluster had before its last upgrade, also where that was cut off.
func (h *Handle) UpgradeBack() (Request, error) {
	record, from, err := h.forUpgrade()
	if err != nil {
		return Request{}, err
	}
	if c := record.Change; c != nil && c.Upgrade.Down {
		return h.ResumeUpgrade()
	}
	if record.Previous == nil {
		return Request{}, &VersionError{errors.New("the cluster was not upgraded, so there is nothing to go back to")}
	}
	to := *record.Previous
	if err := checkVersions(from, to.Kubernetes, true); err != nil {
		return Request{}, &VersionError{err}
	}
	cache, err := CacheDir()
	if err != nil {
		return Request{}, err
	}
	if why := etcdSkew(programOf(cache, record.Versions, "etcd"), programOf(cache, to, "etcd")); why != "" {
		return Request{}, withHint(&change.Refused{Step: "upgrade --back", Err: errors.New(why)}, "the data of before the upgrade is in the snapshot that it began with: haplane etcd snapshot list --cluster "+h.env.Store.Name())
	}
	return h.upgradeRequest(to.Kubernetes, &Upgrade{From: from, To: to.Kubernetes, Versions: to, Down: true})
}

// forUpgrade is the record of a cluster that can be upgraded, and its version.
func (h *Handle) forUpgrade() (*store.Record, string, error) {
	record, err := h.env.Store.Record()
	if err != nil {
		return nil, "", err
	}
	if c := record.Change; c != nil && c.Upgrade == nil {
		return nil, "", refuseBeside(record, "upgrade")
	}
	if c := h.env.cluster.Spec.Components; c.Dir != "" || c.URL != "" {
		return nil, "", &VersionError{errors.New("the cluster file brings its own programs (spec.components): haplane upgrades to what it builds itself")}
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, "", err
	}
	return record, kubernetesOf(cache, record.Versions), nil
}

// upgradeRequest has the version in the cluster file, where that names one.
func (h *Handle) upgradeRequest(version string, u *Upgrade) (Request, error) {
	q, err := h.edited(func(text []byte) ([]byte, error) { return spec.SetKubernetesVersion(text, version) })
	q.Upgrade = u
	return q, err
}

// newer tells of what this haplane builds and the cluster does not have: a newer Kubernetes or, with the same, newer programs
// beside it; "" where there is nothing. Programs that the cluster file brings are not haplane's to upgrade.
func newer(c *spec.Cluster, cache string, v store.Versions) string {
	source, err := component.SourceDir()
	has := kubernetesOf(cache, v)
	if own := c.Spec.Components; err != nil || has == "" || own.Dir != "" || own.URL != "" {
		return ""
	}
	built, err := component.Kubernetes(source)
	if err != nil {
		return ""
	}
	for _, version := range built { // the newest first
		if semver.Compare(version, has) > 0 && checkVersions(has, version, false) == nil {
			return fmt.Sprintf("Kubernetes %s is there, and the cluster has %s: haplane upgrade --to %s --cluster %s", version, has, version, c.Metadata.Name)
		}
	}
	pinned, err := component.Versions(source)
	if err != nil || !slices.Contains(built, has) {
		return ""
	}
	parts := newerParts(pinned, cache, v)
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("there is more that is newer than what the cluster has: %s; haplane upgrade --to %s --cluster %s brings it", strings.Join(parts, ", "), has, c.Metadata.Name)
}

// newerParts are the programs beside Kubernetes of which the image of a cluster has an older version than is pinned.
func newerParts(pinned []component.Pinned, cache string, v store.Versions) []string {
	if v.Image == "" {
		return nil
	}
	img, err := image.Open(cache, v.Image)
	if err != nil {
		return nil
	}
	var out []string
	for _, c := range pinned {
		i := slices.IndexFunc(img.Manifest.Programs, func(p image.Program) bool { return p.Component == c.Name })
		if c.Name != kubeComponent && i >= 0 && semver.Compare(c.Version, img.Manifest.Programs[i].Version) > 0 {
			out = append(out, fmt.Sprintf("%s %s (it has %s)", c.Name, c.Version, img.Manifest.Programs[i].Version))
		}
	}
	return out
}

// kubeComponent is the one that the version of a cluster is about.
const kubeComponent = "kube"

// tellVersion adds the version that the cluster has, and of one that is newer.
func (e *env) tellVersion(s *Status) error {
	r, err := e.Store.Record()
	if errors.Is(err, store.ErrNoCluster) {
		return nil
	}
	if err != nil {
		return err
	}
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	s.Kubernetes = kubernetesOf(cache, r.Versions)
	if there := newer(e.cluster, cache, r.Versions); there != "" {
		s.Warnings = append(s.Warnings, there)
	}
	return nil
}

// warnings say before it starts how an upgrade can be taken back. Kubernetes v1.37 writes what v1.36 can read:
// an API server stores objects in versions that its minimum compatibility version has, the minor before it
// (apiserver/pkg/server/storage/resource_encoding_config.go, component-base/compatibility).
func (u *Upgrade) warnings(c *spec.Cluster) []string {
	switch why := u.noWayBack(c); {
	case !u.Down && why != "":
		return []string{fmt.Sprintf("there is no way back to %s: %s", u.From, why)}
	case u.Down:
		return []string{fmt.Sprintf("what only %s knows of objects, such as fields that are new in it, is lost where %s writes them", u.From, u.To)}
	}
	return []string{fmt.Sprintf("until the next upgrade, and from each step of this one, haplane upgrade --back returns to %s: %s stores objects in versions that both read; fields that only %s knows would be lost then",
		u.From, u.To, u.To)}
}
