package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

const (
	// maxFile is far more than any cluster file or kubeconfig has.
	maxFile = 1 << 20
	// patience is how long a pipe may take to come to its end.
	patience = 10 * time.Second
)

// readFile reads the cluster file. The error says which it is.
func (a *app) readFile(ctx context.Context) (string, []byte, error) {
	name, open := a.file, func() (*os.File, error) { return os.Open(a.file) }
	if a.file == "-" {
		name, open = "standard input", func() (*os.File, error) { return a.In, nil }
	}
	data, err := readLimited(ctx, name, patience, open)
	if err != nil {
		return "", nil, fmt.Errorf("read cluster file: %w", err)
	}
	return name, data, nil
}

// readLimited reads what ends, in time and within maxFile: not /dev/zero, no folder, and
// no pipe that nobody writes to. What is read then goes on until the program ends.
func readLimited(ctx context.Context, name string, patience time.Duration, open func() (*os.File, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		f, err := open()
		if err != nil {
			read <- result{nil, err}
			return
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		read <- result{data, err}
	}()
	var late <-chan time.Time
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return nil, fmt.Errorf("%s is a folder", name)
		}
		late = time.After(patience)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late:
		return nil, fmt.Errorf("%s is no file, and had no end in %s", name, patience)
	case r := <-read:
		if len(r.data) > maxFile {
			return nil, fmt.Errorf("%s is larger than %d MiB", name, maxFile>>20)
		}
		return r.data, r.err
	}
}

// openNamed opens a file by its path.
func openNamed(path string) func() (*os.File, error) {
	return func() (*os.File, error) { return os.Open(path) }
}

// checkPath tells what is wrong with a path that a flag names.
func checkPath(flag, path string, folder bool) error {
	info, err := os.Stat(path)
	var why *fs.PathError
	switch {
	case path == "":
		return fmt.Errorf("--%s must not be empty", flag)
	case errors.As(err, &why):
		return fmt.Errorf("--%s: %w", flag, err)
	case folder && !info.IsDir():
		return fmt.Errorf("--%s: %s is not a folder", flag, path)
	case !folder && info.IsDir():
		return fmt.Errorf("--%s: %s is a folder", flag, path)
	}
	return nil
}
