package snapshot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"filippo.io/age"
)

// Recipients reads public keys of age: each is one (age1...), or a file that has some.
func Recipients(list []string) ([]age.Recipient, error) {
	var out []age.Recipient
	for _, one := range list {
		if isPrivate(one) {
			return nil, errors.New("a private key of age was given as a recipient: what encrypts is its public key (age1...), and the private one is nobody's to read in a command line")
		}
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

func isPrivate(text string) bool { return strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-") }

// Identities reads private keys of age from files. What they have is in no error.
func Identities(files []string) ([]age.Identity, error) {
	var out []age.Identity
	for _, file := range files {
		if isPrivate(file) {
			return nil, errors.New("a private key of age was given where its file is wanted: others can read it in a command line")
		}
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
