package image

import (
	"os"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/component"
)

func TestProgramsInContainersAreStatic(t *testing.T) {
	data, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip("no dynamic program at hand: ", err)
	}
	coredns := testProgram(t, "coredns", "coredns", string(data))
	_, err = writeArchives(t.TempDir(), []component.Program{coredns})
	if err == nil || !strings.Contains(err.Error(), "make container image of coredns: "+coredns.Path+" is linked dynamically") {
		t.Errorf("got %v", err)
	}
}
