package store

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/haplane/haplane/internal/pki"
)

// DepositFiles are the files of a store that has settled on the record, with these keys: what it takes to go on with
// the cluster from elsewhere. Of ssh it has what there is already.
func (s Store) DepositFiles(r Record, b pki.Bundle, text []byte) (map[string][]byte, error) {
	out := keyFiles(b, r.Rotation)
	r.Schema, r.Serial, r.EncryptionName = recordSchema, max(r.Serial, 1), b.EncryptionName
	data, err := json.MarshalIndent(&r, "", "  ")
	if err == nil {
		_, err = parseRecord(data)
	}
	if err != nil {
		return nil, fmt.Errorf("make a record for snapshots: %w", err)
	}
	out[recordFile], out[clusterFile] = append(data, '\n'), text
	there, err := s.RestoreFiles()
	for name, data := range there {
		if strings.HasPrefix(name, "ssh/") {
			out[name] = data
		}
	}
	return out, err
}

// keyFiles are the files in which KeysDuring finds the keys, by their path in the store.
func keyFiles(b pki.Bundle, r *Rotation) map[string][]byte {
	out := map[string][]byte{}
	put := func(name string, data []byte) {
		if len(data) > 0 {
			out[path.Join("pki", name)] = data
		}
	}
	pair := func(row string, p pki.Pair) {
		cert, key := pairFiles(row)
		put(cert, p.Cert)
		put(key, p.Key)
	}
	for name, p := range b.Pairs {
		pair(name, p)
	}
	pair(pki.ServiceAccount, pki.Pair{Cert: b.ServiceAccountPub, Key: b.ServiceAccountKey})
	pair(pki.Encryption, pki.Pair{Cert: []byte(b.EncryptionName), Key: b.EncryptionKey})
	if r == nil || b.Beside == nil {
		return out
	}
	old, next := b.Generation(b.Beside.Name), b.Beside.Pair
	if b.Beside.Older {
		old, next = next, old
	}
	cert, key, _, _ := nextFiles(r.Name)
	put(cert, next.Cert)
	put(key, next.Key)
	pair(pki.Rotatable[r.Name], old)
	return out
}
