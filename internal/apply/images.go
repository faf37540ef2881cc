package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
)

// An ImageFile is a container image that machines are to have in containerd's store.
type ImageFile struct {
	observed.Image
	From string // here: an archive of it, not compressed
}

// Stored is how many times the size of its archive a container image takes in containerd's store: as it came, and unpacked.
const Stored = 2

// storeTimeout is for containerd to answer, and to have told its own parts of an image: it may have been started just now.
const storeTimeout = time.Minute

// takeIn has containerd read an archive, if there is room for it. What does not come to its end is registered nowhere: the list of what
// is in the archive is at the end of it, and containerd holds each part, and what it unpacks, against the digest that the list says.
const takeIn = `free=$(($(stat --file-system --format='%a * %S' "$1"))) || exit
if [ "$free" -lt "$2" ]; then echo "$1 has room for $((free >> 20)) MiB, and it takes $(($2 >> 20))" >&2; exit 1; fi
shift 2
exec "$@" - >/dev/null`

// bringImages has containerd on a machine take in the container images that it lacks. Pods that run go on as they are.
func bringImages(ctx context.Context, r *Runner, s change.Step) error {
	if len(r.Images) == 0 {
		return errors.New("there are no container images to bring: the image that has them is not in the cache any more")
	}
	m := r.Cluster.Machine(s.Node)
	var lacking []ImageFile
	err := r.until(ctx, s.Node, storeTimeout, func(ctx context.Context) (err error) {
		lacking, err = r.lackingImages(ctx, m)
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range lacking {
		if err := takeInImage(ctx, m, f); err != nil {
			return fmt.Errorf("bring container image %s: %w", f.Ref, err)
		}
		r.detail(s, "has %s", f.Ref)
	}
	return r.until(ctx, s.Node, storeTimeout, func(ctx context.Context) error {
		lacking, err := r.lackingImages(ctx, m)
		if err != nil || len(lacking) == 0 {
			return err
		}
		return fmt.Errorf("bring container image %s: what containerd has by that name now is not whole, or another one than %s", lacking[0].Ref, lacking[0].ID)
	})
}

// lackingImages are those that containerd on a machine does not have.
func (r *Runner) lackingImages(ctx context.Context, m machine.Machine) ([]ImageFile, error) {
	var want []observed.Image
	for _, f := range r.Images {
		want = append(want, f.Image)
	}
	there, err := look.Images(ctx, m, want)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(r.Images), func(f ImageFile) bool { return slices.Contains(there, f.Ref) }), nil
}

func takeInImage(ctx context.Context, m machine.Machine, f ImageFile) error {
	in, err := os.Open(f.From)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	argv := append([]string{"sh", "-c", takeIn, "sh", topology.ContainerdDir, strconv.FormatInt(Stored*info.Size(), 10)}, strings.Fields(topology.ImportImage)...)
	cmd := machine.Cmd(argv...)
	cmd.Stdin = in
	_, err = m.Run(ctx, cmd)
	return err
}
