package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A State is what etcdutl says of a database.
type State struct {
	Revision int64 `json:"revision"`
	Keys     int   `json:"totalKey"`
	Size     int64 `json:"totalSize"`
	Hash     uint32
	Version  string // of etcd, as far as it is written down
}

// Check sees that a database is whole: the SHA-256 behind it, etcd's own look at all of it, and a test restore into
// a folder that is removed again. etcdutl is the program; the folder of the database has the room.
func Check(ctx context.Context, etcdutl, database string) (State, error) {
	var s State
	if err := checkSum(database); err != nil {
		return s, &DamagedError{err}
	}
	out, err := run(ctx, etcdutl, "snapshot", "status", database, "--write-out=json")
	if err != nil {
		return s, &DamagedError{err}
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("read what etcdutl says: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(database), "test-restore-")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	if _, err := run(ctx, etcdutl, "snapshot", "restore", database, "--data-dir="+filepath.Join(dir, "data")); err != nil {
		return s, &DamagedError{fmt.Errorf("test restore: %w", err)}
	}
	return s, nil
}

func run(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("etcdutl %s %s: %w: %s", args[0], args[1], err, lines[len(lines)-1])
	}
	return stdout.Bytes(), nil
}

// Pages of bbolt are a multiple of this: what is left is the sum.
const sector = 512

func checkSum(database string) error {
	f, err := os.Open(database)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size()%sector != sha256.Size {
		return errors.New("the database lacks the hash that etcd appends: it was cut")
	}
	sum := sha256.New()
	if _, err := io.CopyN(sum, f, info.Size()-sha256.Size); err != nil {
		return err
	}
	want, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return errors.New("the database is not what the hash says that etcd appended")
	}
	return nil
}

// Seal appends to a database, copied from a member's folder, the hash that etcd appends to one that it sends.
func Seal(database string) error {
	f, err := os.OpenFile(database, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if _, err := f.Write(sum.Sum(nil)); err != nil {
		return err
	}
	return f.Sync()
}

// SaveDatabase has a member's database written into a new file, secret from the first byte. When it returns, it is on the disk.
func SaveDatabase(file string, write func(io.Writer) error) error {
	to, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := write(to); err != nil {
		return err
	}
	return to.Sync()
}
