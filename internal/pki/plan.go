package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Names under which what is no certificate is made.
const (
	ServiceAccount = "sa"
	Encryption     = "encryption"
)

const encryptionKeyLength = 32

// A Reissue is a certificate or key that is to be made.
type Reissue struct {
	Name   string `json:"name"` // of a certificate of the catalogue, or ServiceAccount, or Encryption
	Reason string `json:"reason"`
	// OldSerial (hexadecimal) and NotAfter are those of the certificate that it takes
	// the place of, where there is one that can be read.
	OldSerial string    `json:"oldSerial,omitempty"`
	NotAfter  time.Time `json:"notAfter,omitempty,omitzero"`
	// NewSerial is that of the certificate that was made, once it is; hexadecimal.
	NewSerial string `json:"newSerial,omitempty"`
}

// A Lost secret cannot be made anew: what depends on it would no longer work.
type Lost struct {
	File   string // below the PKI folder, such as ca.key
	Reason string
	Ended  bool // it is whole, and its time is over
	// External says that it is of an authority whose key is elsewhere: its certificate is what is wanted.
	External bool
}

// Plan tells what has to be made so that there is everything that the rows want: what
// is missing, is not as its row wants it, or ends soon. Of a cluster that exists
// authorities and keys are never made anew: those that cannot be used are lost.
// Certificates of a lost authority are not judged.
func Plan(rows []Row, have Bundle, now time.Time, exists bool) ([]Reissue, []Lost) {
	p := planner{have: have, now: now, exists: exists, changed: map[string]bool{}}
	for _, row := range rows {
		switch {
		case row.CA != "":
			p.leaf(row)
		case row.External:
			p.externalAuthority(row)
		case exists:
			p.keepAuthority(row)
		default:
			p.newAuthority(row)
		}
	}
	p.serviceAccount()
	p.encryption()
	p.beside()
	return p.reissue, p.lost
}

type planner struct {
	have    Bundle
	now     time.Time
	exists  bool
	changed map[string]bool // authorities that are new or lost
	reissue []Reissue
	lost    []Lost
}

func (p *planner) newAuthority(row Row) {
	if reason := p.differs(row); reason != "" {
		p.again(row.Name, reason)
		p.changed[row.Name] = true
	}
}

// externalAuthority is never made here.
func (p *planner) externalAuthority(row Row) {
	lost := lostExternal(row.Name, p.have.Pairs[row.Name].Cert, p.now)
	p.lost = append(p.lost, lost...)
	p.changed[row.Name] = len(lost) > 0
}

func (p *planner) leaf(row Row) {
	if p.changed[row.CA] {
		if !p.exists && !slices.ContainsFunc(p.lost, func(l Lost) bool { return l.External && l.File == row.CA+".crt" }) {
			p.again(row.Name, "its authority "+row.CA+" is new")
		}
		return
	}
	reason := p.differs(row)
	if reason == "" {
		cert, _ := ParseCertificate(p.have.Pairs[row.Name].Cert)
		reason = renewal(cert, p.now)
	}
	if reason != "" {
		p.again(row.Name, reason)
	}
}

// differs says why what is there is not what the row wants, or nothing.
func (p *planner) differs(row Row) string {
	pair := p.have.Pairs[row.Name]
	switch {
	case len(pair.Cert)+len(pair.Key) == 0:
		return "there is none"
	case len(pair.Cert) == 0:
		return "its certificate is missing"
	case len(pair.Key) == 0:
		return "its key is missing"
	}
	if err := Check(row, pair, p.have.Pairs[row.CA], p.now); err != nil {
		if b := p.have.Beside; b != nil && b.Name == row.CA && b.Older && Check(row, pair, b.Pair, p.now) == nil {
			return "its authority " + row.CA + " is rotated, and the old one has signed it"
		}
		return err.Error()
	}
	return ""
}

// renewal says why a certificate that fits is made anew, or nothing: a third of its
// life is what a cluster that nobody looks at may be late.
func renewal(cert *x509.Certificate, now time.Time) string {
	left, life := cert.NotAfter.Sub(now), cert.NotAfter.Sub(cert.NotBefore)
	if left > life/3 {
		return ""
	}
	return fmt.Sprintf("ends %s, a third of its life or less left", inDays(left))
}

func (p *planner) again(name, reason string) {
	r := Reissue{Name: name, Reason: reason}
	if cert, err := ParseCertificate(p.have.Pairs[name].Cert); err == nil {
		r.OldSerial, r.NotAfter = cert.SerialNumber.Text(16), cert.NotAfter
	}
	p.reissue = append(p.reissue, r)
}

// keepAuthority checks that an authority can go on. Its names do not matter: nothing
// could be made of a finding.
func (p *planner) keepAuthority(row Row) {
	lost := lostAuthority(row.Name, p.have.Pairs[row.Name], p.now)
	p.lost = append(p.lost, lost...)
	p.changed[row.Name] = len(lost) > 0
}

func (p *planner) serviceAccount() {
	key, err := parseKey(p.have.ServiceAccountKey)
	switch {
	case err != nil && p.exists:
		p.lost = append(p.lost, Lost{File: "sa.key", Reason: missingOr(p.have.ServiceAccountKey, err)})
	case err != nil:
		p.again(ServiceAccount, missingOr(p.have.ServiceAccountKey, err))
	case !publicOf(key, p.have.ServiceAccountPub) && p.have.Beside != nil && p.have.Beside.Name == ServiceAccount:
		p.lost = append(p.lost, Lost{File: "sa.next.pub", Reason: "it is not that of sa.next.key"})
	case !publicOf(key, p.have.ServiceAccountPub):
		p.again(ServiceAccount, "sa.pub is not that of sa.key; the key stays")
	}
}

func (p *planner) encryption() {
	length := len(p.have.EncryptionKey)
	if length == encryptionKeyLength {
		return
	}
	reason := missingOr(p.have.EncryptionKey, fmt.Errorf("it has %d bytes, not %d", length, encryptionKeyLength))
	if p.exists {
		p.lost = append(p.lost, Lost{File: "encryption.key", Reason: reason})
		return
	}
	p.again(Encryption, reason)
}

// older checks that what signed before is there: its certificate or public key, and the key that reads.
func (p *planner) older(b Beside) {
	file, err := b.Name+".crt", error(nil)
	data := b.Pair.Cert
	switch b.Name {
	case ServiceAccount:
		if file = "sa.pub"; KeyID(data) == "" {
			err = errors.New("it is no public key")
		}
	case Encryption:
		file, data = "encryption.key", b.Pair.Key
		if len(data) != encryptionKeyLength {
			err = fmt.Errorf("it has %d bytes, not %d", len(data), encryptionKeyLength)
		}
	default:
		_, err = ParseCertificate(data)
	}
	if err != nil {
		p.lost = append(p.lost, Lost{File: file, Reason: missingOr(data, err)})
	}
}

// beside checks that what is trusted beside an authority or key is there: of one that will sign,
// its key too.
func (p *planner) beside() {
	b := p.have.Beside
	if b == nil {
		return
	}
	if b.Older {
		p.older(*b)
		return
	}
	var lost []Lost
	switch b.Name {
	case ServiceAccount:
		if key, err := parseKey(b.Pair.Key); err != nil || !publicOf(key, b.Pair.Cert) {
			lost = []Lost{{File: "sa.next.key", Reason: missingOr(b.Pair.Key, errors.New("it is not that of sa.next.pub"))}}
		}
	case Encryption:
		if len(b.Pair.Key) != encryptionKeyLength {
			lost = []Lost{{File: "encryption.next.key", Reason: missingOr(b.Pair.Key, errors.New("it has another length"))}}
		}
	default:
		lost = lostAuthority(b.Name+".next", b.Pair, p.now)
	}
	p.lost = append(p.lost, lost...)
}
