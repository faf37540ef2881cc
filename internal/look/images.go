package look

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
)

// imagesScript prints, of the references that containerd has an image of, whole and unpacked, the image's manifest. The names that
// Kubernetes' interface of containerd gives images by their IDs do not tell: one stays as it is where another image comes by a reference.
const imagesScript = `
ready=$(` + topology.Ctr + ` images check --quiet) || [ -n "$ready" ] || exit
for ref; do
  echo "$ready" | grep -qxF -- "$ref" || continue
  digest=$(` + topology.Ctr + ` images list "name==$ref" | { read -r _; read -r _ _ digest _; echo "$digest"; })
  echo "` + imageLine + `$ref"
  ` + topology.Ctr + ` content get "$digest" || exit
  echo
done`

const imageLine = "===image "

// Images returns the references of those of the container images that containerd has on a machine, whole and unpacked.
func Images(ctx context.Context, m machine.Machine, want []observed.Image) ([]string, error) {
	argv := []string{"sh", "-c", imagesScript, "sh"}
	for _, i := range want {
		argv = append(argv, i.Ref)
	}
	result, err := m.Run(ctx, machine.Cmd(argv...))
	if err != nil {
		return nil, fmt.Errorf("list container images: %w", err)
	}
	ids := map[string]string{}
	for _, text := range strings.Split("\n"+result.Stdout, "\n"+imageLine)[1:] {
		ref, manifest, _ := strings.Cut(text, "\n")
		if ids[ref], err = imageID(manifest); err != nil {
			return nil, fmt.Errorf("list container images: %s: %w", ref, err)
		}
	}
	var there []string
	for _, i := range want {
		if id, ok := ids[i.Ref]; ok && (i.ID == "" || i.ID == id) {
			there = append(there, i.Ref)
		}
	}
	return there, nil
}

// imageID is the digest of an image's configuration, by its manifest.
func imageID(manifest string) (string, error) {
	var m struct{ Config struct{ Digest string } }
	if err := json.Unmarshal([]byte(manifest), &m); err != nil {
		return "", fmt.Errorf("read its manifest: %w", err)
	}
	return m.Config.Digest, nil
}
