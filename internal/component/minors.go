package component

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// folders are those of the row's modules in Options.Source, one a minor version, the newest first.
func (r row) folders() []string { return append([]string{r.name}, r.older...) }

// folder is that of the module which builds a version of Kubernetes, in full or by its minor; the
// newest where nothing else is asked for, or no module has it.
func (r row) folder(source, kubernetes string) string {
	for _, folder := range r.older {
		pinned, err := pinnedVersion(filepath.Join(source, folder), r.module)
		if err == nil && means(kubernetes, pinned) {
			return folder
		}
	}
	return r.name
}

// means reports whether a version that was asked for is this one, or its minor.
func means(asked, version string) bool {
	asked = canonical(asked)
	return asked == version || asked == semver.MajorMinor(version)
}

// Kubernetes returns the versions of Kubernetes that the modules in source build, the newest first.
func Kubernetes(source string) ([]string, error) {
	var out []string
	for _, folder := range kubeRow().folders() {
		version, err := pinnedVersion(filepath.Join(source, folder), kubeRow().module)
		if err != nil {
			return nil, fmt.Errorf("component %s: %w", folder, err)
		}
		out = append(out, version)
	}
	slices.SortFunc(out, func(a, b string) int { return semver.Compare(b, a) })
	return out, nil
}

// Resolve returns the full version that is built where one is asked for: a minor means the patch to
// which it is pinned, nothing the newest.
func Resolve(source, asked string) (string, error) {
	all, err := Kubernetes(source)
	if err != nil || asked == "" {
		return cmp.Or(append(all, "")...), err
	}
	for _, version := range all {
		if means(asked, version) {
			return version, nil
		}
	}
	return "", unknownVersion(asked, all)
}

func unknownVersion(asked string, built []string) error {
	return fmt.Errorf("kubernetesVersion is %s, but this haplane builds %s; components.dir or components.url can bring another",
		canonical(asked), strings.Join(built, " and "))
}

// checkVersion fails where Kubernetes is to be built in a version that no module has.
func (o Options) checkVersion(build []row) error {
	if o.Source == "" || !slices.ContainsFunc(build, func(r row) bool { return r.name == kubeName }) {
		return nil
	}
	_, err := Resolve(o.Source, o.Ready.KubernetesVersion)
	return err
}
