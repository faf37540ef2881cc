package component

import (
	"errors"
	"os"
	"path/filepath"
)

// sourceVar names the environment variable that says where the modules are.
const sourceVar = "HAPLANE_COMPONENTS"

// builtFrom is the components folder of the checkout that haplane was built in;
// set by -ldflags "-X github.com/haplane/haplane/internal/component.builtFrom=...".
var builtFrom string

// ErrNoSource is what SourceDir returns when there is no components folder.
var ErrNoSource = errors.New("the components' Go modules are nowhere to be found; set " + sourceVar +
	" to the folder components of haplane's source")

// SourceDir returns the folder of the components' Go modules: what
// $HAPLANE_COMPONENTS says, else ../components beside the executable, else the
// folder that was set when haplane was built.
func SourceDir() (string, error) {
	if dir := os.Getenv(sourceVar); dir != "" {
		if !isSource(dir) {
			return "", errors.New(sourceVar + "=" + dir + " has no components in it; it should be the folder components of haplane's source")
		}
		return filepath.Abs(dir)
	}
	for _, dir := range []string{besideExecutable(), builtFrom} {
		if isSource(dir) {
			return dir, nil
		}
	}
	return "", ErrNoSource
}

func besideExecutable() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return filepath.Join(filepath.Dir(path), "..", "components")
}

// isSource reports whether every component has its module in dir.
func isSource(dir string) bool {
	if dir == "" {
		return false
	}
	for _, r := range table() {
		for _, folder := range r.folders() {
			if _, err := os.Stat(filepath.Join(dir, folder, "go.mod")); err != nil {
				return false
			}
		}
	}
	return true
}
