package snapshot

import (
	"fmt"
	"os"
	"strings"

	"filippo.io/age"
)

// Recipients reads public keys of age: each is one (age1...), or a file that has some.
func Recipients(list []string) ([]age.Recipient, error) {
	var out []age.Recipient
	for _, one := range list {
		text := one
		if !strings.HasPrefix(one, "age1") {
			data, err := os.ReadFile(one)
			if err != nil {
				return nil, fmt.Errorf("%q is no public key of age (age1...), and no file that has some: %w", one, err)
			}
			text = string(data)
		}
		keys, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("read recipient %s: %w", one, err)
		}
		out = append(out, keys...)
	}
	return out, nil
}

// Identities reads private keys of age from files. What they have is in no error.
func Identities(files []string) ([]age.Identity, error) {
	var out []age.Identity
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read identity: %w", err)
		}
		keys, err := age.ParseIdentities(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read identity %s: it has no private key of age (AGE-SECRET-KEY-1...)", file)
		}
		out = append(out, keys...)
	}
	return out, nil
}
