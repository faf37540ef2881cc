package evidencetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Names of the authorities. Issue takes any other name as well: that is an
// authority of its own.
const (
	CA           = "kubernetes"
	EtcdCA       = "etcd-ca"
	FrontProxyCA = "front-proxy-ca"
	OtherCA      = "somebody-else"
)

// Usages of certificates.
var (
	ForServer = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	ForClient = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	ForBoth   = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

// A Row is a certificate to issue.
type Row struct {
	CA           string // common name of the authority that signs; "" for an authority
	CommonName   string
	Organization []string
	Names        []string // IP addresses and DNS names
	Usages       []x509.ExtKeyUsage
	NotBefore    time.Time // zero: a month before At
	NotAfter     time.Time // zero: eleven months after At; ten years for an authority
	// Key names the key pair: rows with the same Key have the same; "" is a key of
	// that row alone.
	Key string
}

const month = 30 * 24 * time.Hour

// store remembers what was issued in this process: the same row gives the same
// certificate, and a certificate tells its row.
var store = struct {
	sync.Mutex
	keys  map[string]*ecdsa.PrivateKey
	certs map[string]*x509.Certificate
	rows  map[string]Row // by fingerprint
}{keys: map[string]*ecdsa.PrivateKey{}, certs: map[string]*x509.Certificate{}, rows: map[string]Row{}}

// Issue makes a certificate, signed by its authority.
func Issue(r Row) evidence.Certificate {
	store.Lock()
	defer store.Unlock()
	return evidence.Certificate{Certificate: issue(r)}
}

// RowOf is the row that a certificate was issued for.
func RowOf(c evidence.Certificate) Row {
	store.Lock()
	defer store.Unlock()
	return store.rows[c.Fingerprint()]
}

// PublicKey is the SHA-256 in hex of the public key of a name, as in Row.Key.
func PublicKey(name string) string {
	store.Lock()
	defer store.Unlock()
	der, err := x509.MarshalPKIXPublicKey(key(name).Public())
	must(err)
	return digest(der)
}

func authority(name string) Row { return Row{CommonName: name, Key: "authority " + name} }

func issue(r Row) *x509.Certificate {
	r = r.complete()
	id := fmt.Sprintf("%+v", r)
	if c := store.certs[id]; c != nil {
		return c
	}
	serial := sha256.Sum256([]byte(id))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:16]),
		Subject:      pkix.Name{CommonName: r.CommonName, Organization: r.Organization},
		NotBefore:    r.NotBefore, NotAfter: r.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: r.Usages, BasicConstraintsValid: true,
	}
	for _, name := range r.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	parent, signer := template, key(r.Key)
	if r.CA == "" {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	} else {
		parent, signer = issue(authority(r.CA)), key(authority(r.CA).Key)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key(r.Key).Public(), signer)
	must(err)
	c, err := x509.ParseCertificate(der)
	must(err)
	store.certs[id], store.rows[digest(der)] = c, r
	return c
}

func (r Row) complete() Row {
	if r.NotBefore.IsZero() {
		r.NotBefore = At.Add(-month)
	}
	if r.NotAfter.IsZero() && r.CA == "" {
		r.NotAfter = At.Add(120 * month)
	}
	if r.NotAfter.IsZero() {
		r.NotAfter = At.Add(11 * month)
	}
	if r.Key == "" {
		r.Key = fmt.Sprintf("%s %s %v", r.CA, r.CommonName, r.Names)
	}
	return r
}

func key(name string) *ecdsa.PrivateKey {
	if store.keys[name] == nil {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		store.keys[name] = k
	}
	return store.keys[name]
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
