package image

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Check tells all that keeps this host from building images, with the Debian
// package that has what is missing.
func Check() error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("building an image needs root (run haplane with sudo)"))
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		errs = append(errs, errors.New("program mmdebstrap is missing (apt-get install mmdebstrap)"))
	}
	if _, err := os.Stat(keyring); err != nil {
		errs = append(errs, fmt.Errorf("keys of Debian are missing: %w (apt-get install debian-archive-keyring)", err))
	}
	if _, err := hostSources(""); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
