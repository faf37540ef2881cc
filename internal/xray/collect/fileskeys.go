package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// tokenKeyFlags name files with keys for the tokens of service accounts: public keys,
// certificates or private keys, as kube-apiserver takes any of them.
var tokenKeyFlags = []string{"service-account-key-file", "service-account-signing-key-file", "service-account-private-key-file"}

// tokenKeys tells which keys are in a file, by their public halves. Those of private keys
// openssl makes on the machine; without it, or in a copy, the file beside has to tell.
func (h *host) tokenKeys(p place, name string) {
	if f := h.machine.Files[name]; f.Private || len(f.PublicKeys) > 0 {
		return
	}
	h.file(p, name, asStat)
	public, err := h.read(p.on(name), asPEM)
	halves, unread := h.read(p.on(name), asKey)
	switch {
	case errors.Is(err, errPending) || errors.Is(unread, errPending):
		h.halvesBeside(p, name) // to have it come along
		return
	case err != nil && !errors.Is(err, errKey):
		h.unopened(p, name, err)
		return
	}
	f := h.machine.Files[name]
	f.Path = name
	f.PublicKeys, f.Private, f.Sealed = keysIn(public, halves, unread)
	if !f.Private && len(f.PublicKeys) == 0 {
		h.add(name, "no key in it", "Let what names it name a file with a key of service accounts instead: kube-apiserver does not start with this one.")
		return
	}
	h.machine.Files[name] = f
	if f.Sealed {
		h.halvesBeside(p, name)
	}
}

func (h *host) halvesBeside(p place, name string) {
	for _, beside := range besides(name) {
		h.pem(p, beside, false)
	}
}

// unopened notes a file that could not be read. Private keys are for root alone: who did not log
// in as root is told that once.
func (h *host) unopened(p place, name string, err error) {
	switch absent := errors.Is(err, fs.ErrNotExist); {
	case absent && !p.inside:
		h.miss(name, err, putBack)
	case !absent && !strings.HasSuffix(name, ".key"):
		h.miss(name, err, readAsRoot)
	}
}

// keysIn are the public keys of a file, of which halves says what is private in it.
func keysIn(public, halves string, unread error) (keys []string, private, sealed bool) {
	count, derived := 0, ""
	if first, rest, ok := strings.Cut(halves, "\n"); ok {
		_, _ = fmt.Sscanf(first, "private %d", &count) // none where it is another text
		derived = rest
	}
	keys, _ = parse.PublicKeys(public) // a file without any is one with private keys, or told by the caller
	halfs, _ := parse.PublicKeys(derived)
	private = count > 0 || unread != nil
	return slices.Concat(keys, halfs), private, private && len(halfs) != max(count, 1)
}

// besides are where the public half of a private key is kept, by its name: sa.pub of
// sa.key, service-account.pem of service-account-key.pem.
func besides(name string) []string {
	if strings.HasSuffix(name, ".pub") {
		return nil
	}
	out := []string{strings.TrimSuffix(name, ".key") + ".pub"}
	if base, ok := strings.CutSuffix(name, "-key.pem"); ok {
		out = append(out, base+".pem")
	}
	return out
}

// byName looks at a certificate that is served to those who ask for its names.
func (h *host) byName(p *located, c evidence.NamedCertificate) {
	if strings.HasPrefix(c.Cert, "/") && !foreign(c.Cert) {
		h.pem(p.place, c.Cert, true)
	}
	if strings.HasPrefix(c.Key, "/") && !foreign(c.Key) {
		h.file(p.place, c.Key, asStat)
	}
}
