package evidencetest

import (
	"encoding/base64"
	"encoding/hex"
)

// KeyID is the ID of the public key of a name as API servers give it to the keys of
// service accounts, where PublicKey is what its file has.
func KeyID(name string) string {
	raw, err := hex.DecodeString(PublicKey(name))
	must(err)
	return base64.RawURLEncoding.EncodeToString(raw)
}
