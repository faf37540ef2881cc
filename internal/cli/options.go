package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/view"
)

// options opens the log file of a run and shows its progress; done ends both.
func (a *app) options(name, command string) (o cluster.Options, done func(), err error) {
	if o.Store, err = store.Open(name); err != nil {
		return o, nil, err
	}
	return a.logged(o, o.Store.Logs(), command)
}

func (a *app) logged(o cluster.Options, folder, command string) (cluster.Options, func(), error) {
	var err error
	if o.Cache, err = cluster.CacheDir(); err != nil {
		return o, nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return o, nil, fmt.Errorf("make log folder: %w", err)
	}
	name := fmt.Sprintf("%s-%s-%d.log", command, time.Now().UTC().Format("20060102T150405"), os.Getpid())
	log, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return o, nil, fmt.Errorf("open log: %w", err)
	}
	a.log = log.Name()
	progress := a.progress()
	o.Log, o.Output = slog.New(a.handler(log)), log
	o.Report = func(p cluster.Progress) {
		if p.Wait != nil {
			progress.Waiting(p.Wait.Node, p.Wait.For)
			return
		}
		if p.Doing != "" {
			progress.Doing(p.Doing)
			return
		}
		if p.Notice != "" {
			o.Log.Info(p.Notice, "phase", p.ID)
			progress.Notice(p.ID, p.Notice)
			return
		}
		if p.State == "" {
			o.Log.Info(p.Detail, "phase", p.ID)
			progress.Detail(p.ID, p.Detail)
			return
		}
		o.Log.Info(string(p.State), "phase", p.ID, "elapsed", p.Elapsed, "err", p.Err)
		progress.Event(p.Event)
	}
	return o, func() { progress.Close(); log.Close() }, nil
}

// progress shows nothing where that is wanted, or where the log is shown instead.
func (a *app) progress() *view.Progress {
	if a.quiet || a.verbose {
		return view.NewProgress(io.Discard, -1)
	}
	return view.NewProgress(a.Err, int(a.Err.Fd()))
}

func (a *app) handler(log io.Writer) slog.Handler {
	everything := &slog.HandlerOptions{Level: slog.LevelDebug}
	file := slog.NewTextHandler(log, everything)
	if !a.verbose {
		return file
	}
	return slog.NewMultiHandler(file, slog.NewTextHandler(a.Err, everything))
}
