package snapshot

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"filippo.io/age"
)

// depositName is the file of an archive that has further files, sealed before: whoever wrote the archive
// could not read them.
const depositName = "deposit.age"

// SealFiles encrypts files for the recipients into one, which a machine may keep that is not to have them.
func SealFiles(files map[string][]byte, recipients []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	sealed, err := age.Encrypt(&out, recipients...)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	w := tar.NewWriter(sealed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name]))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	err = errors.Join(w.Close(), sealed.Close())
	return out.Bytes(), err
}

// WithDeposit are the files of an archive that has a sealed one; nil has none.
func WithDeposit(sealed []byte) map[string][]byte {
	if sealed == nil {
		return nil
	}
	return map[string][]byte{depositName: sealed}
}

// openDeposit puts the files of a deposit in its place.
func openDeposit(files map[string][]byte, identities []age.Identity) error {
	sealed, ok := files[depositName]
	if !ok {
		return nil
	}
	delete(files, depositName)
	plain, err := age.Decrypt(bytes.NewReader(sealed), identities...)
	if err != nil {
		return fmt.Errorf("decrypt the keys in it: %w", err)
	}
	list := tar.NewReader(plain)
	for {
		header, err := list.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &DamagedError{cut(err)}
		}
		if header.Size > largestFile {
			return &DamagedError{fmt.Errorf("%s has %d bytes", header.Name, header.Size)}
		}
		if files[header.Name], err = io.ReadAll(list); err != nil {
			return &DamagedError{cut(err)}
		}
	}
}
