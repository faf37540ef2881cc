package kubeconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/poll"
)

// lockWait bounds the wait for another program: kubectl holds its lock for milliseconds.
const lockWait = 10 * time.Second

// openFile locks and reads one file; one that does not exist is an empty kubeconfig.
func openFile(ctx context.Context, path string) (*file, error) {
	unlock, err := lock(ctx, path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, unlock: unlock}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unlock()
		return nil, err
	}
	f.exists = err == nil
	if f.config, err = clientcmd.Load(data); err != nil {
		unlock()
		return nil, fmt.Errorf("not a kubeconfig, left alone: %w", err)
	}
	return f, nil
}

// lock makes PATH.lock, the file that kubectl and kind lock with, and returns
// what removes it. Where no file can be made, in a missing or read-only directory, there
// is nothing to guard: the list in $KUBECONFIG may well name such files.
func lock(ctx context.Context, path string) (func(), error) {
	name := path + ".lock"
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	err := poll.Until(ctx, 50*time.Millisecond, func(context.Context) error {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			return f.Close()
		}
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("another program has it locked (remove %s if none runs)", name)
		}
		return poll.Stop(err)
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(name) }, nil
}

// write replaces the file at once, mode 0600. A symbolic link stays one.
func (f *file) write() error {
	data, err := clientcmd.Write(*f.config)
	if err != nil {
		return err
	}
	path := f.path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return durable.Replace(path, 0o600, bytes.NewReader(data), func(temp *os.File) error { return keepOwner(temp, path) })
}

// keepOwner gives temp the owner of the file that it replaces, or of its folder:
// under sudo it is the user's, who would be locked out of it.
func keepOwner(temp *os.File, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return temp.Chown(int(stat.Uid), int(stat.Gid))
}
