package store

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrConflict means that the record was written by somebody else meanwhile.
var ErrConflict = errors.New("it was changed by another haplane meanwhile")

// Update reads the record, lets fn change it, and writes it, durably; where there is none
// it begins with an empty one. Nothing is written where fn fails or changes nothing. The error
// wraps ErrConflict where the record is not the one that was read any more.
func (s Store) Update(fn func(*Record) error) error {
	r, err := s.Record()
	if errors.Is(err, ErrNoCluster) {
		r, err = &Record{Schema: recordSchema, Nodes: []Node{}}, nil
	}
	if err != nil {
		return err
	}
	lineage, serial := r.Lineage, r.Serial
	before, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := fn(r); err != nil {
		return err
	}
	after, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if serial > 0 && bytes.Equal(before, after) {
		return nil
	}
	made := r.Lineage
	r.Schema, r.Lineage, r.Serial = recordSchema, lineage, serial+1
	if lineage == "" {
		r.Lineage = cmp.Or(made, rand.Text())
	}
	return s.replace(r, lineage, serial)
}

// replace writes the record where that on disk still has the lineage and serial.
func (s Store) replace(r *Record, lineage string, serial uint64) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if _, err := parseRecord(data); err != nil { // nothing is written that could not be read
		return fmt.Errorf("write record: %w", err)
	}
	unlock, err := s.lockRecord()
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	defer unlock()
	have, err := s.readRecord()
	if err != nil {
		return err
	}
	if have == nil {
		have = &Record{}
	}
	if have.Lineage != lineage || have.Serial != serial {
		return fmt.Errorf("write record of cluster %s: serial is %d, expected %d: %w", s.Name(), have.Serial, serial, ErrConflict)
	}
	if err := s.save(recordFile, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// lockRecord waits for other writers, who hold it only while they compare and write.
func (s Store) lockRecord() (unlock func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.path("record.lock"), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
