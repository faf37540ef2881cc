package image

import (
	"context"
	"fmt"

	"github.com/haplane/haplane/internal/topology"
)

// storeScript has the image's own containerd take in the container images, so that a
// machine begins with them unpacked: four programs and 130 MB written on each of them
// otherwise, while all of them want the CPU. It is the first process of a PID
// namespace: with it ends all that it started.
const storeScript = `set -e
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
cat >/run/config.toml <<END
version = 3
root = "` + topology.ContainerdDir + `"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.podsandbox.controller.v1.podsandbox"]
END
` + topology.BinDir + `/containerd --config /run/config.toml --log-level warn &
tries=0
until ` + topology.BinDir + `/ctr version >/run/version 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -ge 150 ]; then cat /run/version >&2; exit 1; fi
  kill -0 $!
  sleep 0.2
done
for archive in ` + topology.ImageDir + `/*.tar; do
  ` + topology.ImportImage + ` "$archive" >/dev/null
done
kill $!
wait $!
rm -r ` + topology.ContainerdDir + `/io.containerd.grpc.v1.introspection # an ID that each machine makes for itself
`

// fillStore makes containerd's store in the image from its archives.
func (o Options) fillStore(ctx context.Context, root string) error {
	err := run(ctx, o.log(), "unshare", "--pid", "--net", "--fork", "--kill-child", "chroot", root, "/bin/sh", "-c", storeScript)
	if err != nil {
		return fmt.Errorf("import container images into containerd's store: %w", err)
	}
	return nil
}
