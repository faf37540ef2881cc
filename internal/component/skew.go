package component

import (
	"errors"
	"fmt"
)

const kubeName = "kube"

// checkPinned fails when Kubernetes is to be built in a version that it is not
// pinned to. Any will do when version is empty.
func checkPinned(jobs []job, version string) error {
	for _, j := range jobs {
		if want := canonical(version); j.name == kubeName && version != "" && j.version != want {
			return fmt.Errorf("kubernetesVersion is %s, but this haplane builds %s; components.dir or components.url can bring another",
				want, j.version)
		}
	}
	return nil
}

// checkSkew fails unless all ready-made programs of Kubernetes have the given
// version or, when it is empty, that of the first of them.
func checkSkew(programs []Program, version string) error {
	want, because := canonical(version), "kubernetesVersion"
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
