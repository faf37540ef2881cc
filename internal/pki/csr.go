package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
)

// NewKey makes the private key of a certificate that is signed elsewhere.
func NewKey(random io.Reader) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, err
	}
	return encodeKey(key)
}

// SigningRequest is what somebody who has the authority's key signs for a row: with all names
// and usages in it, so that nothing but the request has to be known there.
func SigningRequest(row Row, key []byte, random io.Reader) ([]byte, error) {
	signer, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	usages, err := usageExtensions(row.Usage)
	if err != nil {
		return nil, err
	}
	request := &x509.CertificateRequest{Subject: pkix.Name{CommonName: row.CommonName, Organization: row.Organization},
		DNSNames: row.DNSNames, ExtraExtensions: usages}
	for _, a := range row.Addresses {
		request.IPAddresses = append(request.IPAddresses, a.AsSlice())
	}
	der, err := x509.CreateCertificateRequest(random, request, signer)
	if err != nil {
		return nil, fmt.Errorf("request certificate %s: %w", row.Name, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// The extensions of RFC 5280, 4.2.1.3 and 4.2.1.12, and what is in them.
var (
	keyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	extendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	usageIDs         = map[x509.ExtKeyUsage]asn1.ObjectIdentifier{
		x509.ExtKeyUsageServerAuth: {1, 3, 6, 1, 5, 5, 7, 3, 1}, x509.ExtKeyUsageClientAuth: {1, 3, 6, 1, 5, 5, 7, 3, 2}}
)

func usageExtensions(u Usage) ([]pkix.Extension, error) {
	signs, err := asn1.Marshal(asn1.BitString{Bytes: []byte{0x80}, BitLength: 1})
	if err != nil {
		return nil, err
	}
	var ids []asn1.ObjectIdentifier
	for _, usage := range u.extended() {
		ids = append(ids, usageIDs[usage])
	}
	extended, err := asn1.Marshal(ids)
	return []pkix.Extension{{Id: keyUsage, Critical: true, Value: signs}, {Id: extendedKeyUsage, Value: extended}}, err
}

// Returned finds the name under which a key waits, of those given by name, that a certificate was signed for: both are its pair.
func Returned(keys map[string][]byte, cert []byte) (string, Pair, error) {
	parsed, err := ParseCertificate(cert)
	if err != nil {
		return "", Pair{}, err
	}
	for name, text := range keys {
		if key, err := parseKey(text); err == nil && samePublic(key, parsed.PublicKey) {
			return name, Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: parsed.Raw}), Key: text}, nil
		}
	}
	return "", Pair{}, fmt.Errorf("it belongs to no key that waits for a signature: it is of %s, signed by %s", parsed.Subject, parsed.Issuer)
}

// Requested are the rows that requests, by name, are of, as SigningRequest has made them: also of nodes that are still to come. They know
// of each other, and of the rows that there are, what none of them is for; a row of the same name is the certificate's own, as it is so far.
// Broken tells, by name, why some are none.
func Requested(requests map[string][]byte, there []Row) (rows map[string]Row, broken map[string]error) {
	rows, broken = map[string]Row{}, map[string]error{}
	for name, text := range requests {
		row, err := requested(text)
		if err != nil {
			broken[name] = err
			continue
		}
		row.Name, row.CA = name, AuthorityOf(name)
		rows[name] = row
	}
	for name, row := range rows {
		if i := slices.IndexFunc(there, func(r Row) bool { return r.Name == name }); i >= 0 {
			row.Taken = slices.Clone(there[i].Taken)
		} else {
			for _, r := range there {
				row.Taken = append(append(row.Taken, r.names()...), r.Taken...)
			}
		}
		for other, r := range rows {
			if other != name {
				row.Taken = append(row.Taken, r.names()...)
			}
		}
		slices.Sort(row.Taken)
		row.Taken = slices.DeleteFunc(slices.Compact(row.Taken), loopback)
		rows[name] = row
	}
	return rows, broken
}

// requested is the row that SigningRequest has made a request of.
func requested(text []byte) (Row, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return Row{}, errors.New("the request is not PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return Row{}, err
	}
	row := Row{CommonName: request.Subject.CommonName, Organization: request.Subject.Organization, DNSNames: request.DNSNames,
		Addresses: Addresses(&x509.Certificate{IPAddresses: request.IPAddresses})}
	for _, usage := range []Usage{ForServer, ForClient, ForBoth} {
		wanted, err := usageExtensions(usage)
		if err != nil {
			return row, err
		}
		for _, e := range request.Extensions {
			if e.Id.Equal(extendedKeyUsage) && bytes.Equal(e.Value, wanted[1].Value) {
				row.Usage = usage
			}
		}
	}
	return row, nil
}
