package component

import (
	"errors"
	"fmt"

	"golang.org/x/mod/semver"
)

const kubeName = "kube"

// checkPinned fails when Kubernetes is to be built in a version to which no module is
// pinned. Any will do when version is empty.
func checkPinned(jobs []job, source, version string) error {
	for _, j := range jobs {
		if j.name == kubeName && version != "" && !means(version, j.version) {
			built, err := Kubernetes(source)
			if err != nil {
				return err
			}
			return unknownVersion(version, built)
		}
	}
	return nil
}

// checkSkew fails unless all ready-made programs of Kubernetes have the given
// version or, when it is empty or a minor, that of the first of them.
func checkSkew(programs []Program, version string) error {
	want, because := canonical(version), "kubernetesVersion"
	if minor := semver.MajorMinor(want); version != "" && minor == want {
		for _, p := range programs {
			if p.Component == kubeName && means(minor, p.Version) {
				want = p.Version
				break
			}
		}
	}
	var errs []error
	for _, p := range programs {
		if p.Component != kubeName {
			continue
		}
		if version == "" {
			version, want, because = p.Version, p.Version, "as "+p.Name
		}
		if p.Version != want {
			errs = append(errs, fmt.Errorf("%s is %s, want %s (%s)", p.Name, p.Version, want, because))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("version skew of Kubernetes: %w", errors.Join(errs...))
}
