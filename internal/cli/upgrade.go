package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/haplane/haplane/internal/cluster"
)

// upgradeFlags are those of haplane upgrade beside the ones of every change.
type upgradeFlags struct {
	to           string
	resume, back bool
	confirmEach  bool
	inPlace      bool
	pause        time.Duration
	atOnce       int
}

func (a *app) upgrade() *cobra.Command {
	var f *changeFlags
	u := &upgradeFlags{}
	cmd := &cobra.Command{
		Use:   "upgrade --to VERSION",
		Short: "Upgrade Kubernetes, and all that comes with it, node by node while the cluster serves",
		Long: `Builds the programs and the image of the version, finds all that stands in the way before
anything is touched, brings the container images that pods use then to machines that lack
them, saves a snapshot of etcd in the cluster's folder, has CoreDNS use its new image, and
makes the machines anew from the new image: those of the control plane and of etcd one
after another, etcd's leader last, then the workers, drained. After each turn the cluster
must be whole, of the requests that measure it hardly one in two hundred may have failed, no
lane of them been without an answer for 5 s, and no acknowledged write lost, or it stops
there. A version in the cluster file changes with it. Load balancers stay as they are.

With a machine goes what pods keep on it: emptyDir, hostPath and local PersistentVolumes. The
plan names what there is. With --in-place machines stay: programs and container images are
brought to all of them before anything stops, and what is of another version is restarted,
nodes drained, in the same order; of data only the emptyDir volumes of pods that are evicted go.

A version is one that this haplane builds, in full or by its minor; Kubernetes is
upgraded by one minor at a time. etcd, containerd, CoreDNS and what else comes with it
have the versions that this haplane builds; with the version that the cluster has, these
alone change.

Before it asks, it says whether --back can return to what the cluster has now: from each
step and until the next upgrade, where there are two control-plane nodes and two etcd
members, and etcd keeps its minor version.`,
		Example: `  haplane upgrade --to v1.37.2
  haplane upgrade --to v1.37 --workers-at-once 3 --pause-between 5m
  haplane upgrade --resume           # go on with one that was cut off
  haplane upgrade --back             # return to what the cluster had before`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(u.check(), f.check()); err != nil {
				return err
			}
			return a.runUpgrade(cmd, u, f)
		},
	}
	f = a.addChangeFlags(cmd)
	cmd.Flags().StringVar(&u.to, "to", "", "version of Kubernetes, such as v1.37.2 or v1.37")
	cmd.Flags().BoolVar(&u.resume, "resume", false, "go on with an upgrade that was cut off")
	cmd.Flags().BoolVar(&u.back, "back", false, "return to the versions from before the last upgrade")
	cmd.Flags().BoolVar(&u.inPlace, "in-place", false, "leave the machines, and bring programs and container images to them")
	cmd.Flags().IntVar(&u.atOnce, "workers-at-once", 1, "how many workers are made anew together")
	cmd.Flags().DurationVar(&u.pause, "pause-between", 0, "how long to wait after each turn; --resume keeps it")
	cmd.Flags().BoolVar(&u.confirmEach, "confirm-each", false, "ask before each turn but the first; --resume keeps it")
	return cmd
}

// check finds mistakes before anything is looked at.
func (u *upgradeFlags) check() error {
	given := 0
	for _, is := range []bool{u.to != "", u.resume, u.back} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return usageError{errors.New("one of --to, --resume and --back says where to")}
	case u.inPlace && u.back:
		return usageError{errors.New("--back makes machines anew: --in-place is for --to")}
	case u.atOnce < 1:
		return usageError{errors.New("--workers-at-once must be at least 1")}
	case u.pause < 0:
		return usageError{errors.New("--pause-between must not be negative")}
	}
	return nil
}

func (a *app) runUpgrade(cmd *cobra.Command, u *upgradeFlags, f *changeFlags) error {
	h, err := a.find() // the plan tells of a change that was cut off
	if err != nil {
		return err
	}
	var q cluster.Request
	switch {
	case u.resume:
		q, err = h.ResumeUpgrade()
	case u.back:
		q, err = h.UpgradeBack()
	default:
		q, err = h.UpgradeTo(u.to)
	}
	var wrong *cluster.VersionError
	if errors.As(err, &wrong) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if cmd.Flags().Changed("workers-at-once") || q.Upgrade.AtOnce == 0 {
		q.Upgrade.AtOnce = u.atOnce
	}
	if u.inPlace && u.to != "" && q.Upgrade.Versions.Image == "" { // one that goes on has its way already
		q.Upgrade.InPlace = true
	}
	if cmd.Flags().Changed("pause-between") { // else one that goes on has its own
		q.Upgrade.Pause = u.pause
	}
	if cmd.Flags().Changed("confirm-each") {
		q.Upgrade.ConfirmEach = u.confirmEach
	}
	if q.Upgrade.ConfirmEach && !a.hasTerminal() {
		return errNobodyToAsk
	}
	return a.runChange(cmd, "upgrade", q, f)
}

var (
	// errHeld ends an upgrade between two turns.
	errHeld = errors.New("held between two turns, as it was answered")
	// errNobodyToAsk is why one that asks before each turn does not begin, or go on.
	errNobodyToAsk = usageError{errors.New("there is no terminal to ask on before each turn; --confirm-each=false does not ask, also where the upgrade was begun with --confirm-each")}
)

// hasTerminal reports whether there is somebody to ask.
func (a *app) hasTerminal() bool { return term.IsTerminal(int(a.In.Fd())) }

// confirmTurn asks between two turns of an upgrade.
func (a *app) confirmTurn(after string) error {
	if !a.hasTerminal() {
		return errNobodyToAsk
	}
	fmt.Fprintf(a.Err, "\n%s is done and the cluster is whole; go on? [y/N] ", after)
	answer, err := bufio.NewReader(a.In).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "y" && answer != "yes" {
		return errHeld
	}
	return nil
}
