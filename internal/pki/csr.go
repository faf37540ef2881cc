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
	"time"
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

// Signed finds the row whose key, of those that wait for a signature, is a certificate's, and
// checks the pair: that it is as the row wants it and that the row's authority has signed it.
func Signed(rows []Row, have Bundle, waiting map[string][]byte, cert []byte, now time.Time) (string, Pair, error) {
	parsed, err := ParseCertificate(cert)
	if err != nil {
		return "", Pair{}, err
	}
	for _, row := range rows {
		key, err := parseKey(waiting[row.Name])
		if err != nil || !samePublic(key, parsed.PublicKey) {
			continue
		}
		pair := Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: parsed.Raw}), Key: waiting[row.Name]}
		if err := Check(row, pair, have.Pairs[row.CA].Cert, now); err != nil {
			return row.Name, Pair{}, fmt.Errorf("it is not as certificate %s has to be: %w", row.Name, err)
		}
		return row.Name, pair, nil
	}
	return "", Pair{}, fmt.Errorf("it belongs to no key that waits for a signature: it is of %s, signed by %s", parsed.Subject, parsed.Issuer)
}

// AsRequested finds the request, of those given by name, that a certificate was signed for, and checks the pair: that it
// has what was asked for, and that one of the authorities has signed it. The rows that it is for may not be known yet.
func AsRequested(requests, keys map[string][]byte, authorities [][]byte, cert []byte, now time.Time) (string, Pair, error) {
	parsed, err := ParseCertificate(cert)
	if err != nil {
		return "", Pair{}, err
	}
	for name, text := range requests {
		key, err := parseKey(keys[name])
		if err != nil || !samePublic(key, parsed.PublicKey) {
			continue
		}
		row, err := requested(text)
		if err != nil {
			return name, Pair{}, err
		}
		row.Name, row.CA = name, "that has signed it"
		pair := Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: parsed.Raw}), Key: keys[name]}
		for _, ca := range authorities {
			if err = Check(row, pair, ca, now); err == nil {
				return name, pair, nil
			}
		}
		return name, Pair{}, fmt.Errorf("it is not as certificate %s was requested: %w", name, err)
	}
	return "", Pair{}, fmt.Errorf("it belongs to no key that waits for a signature: it is of %s, signed by %s", parsed.Subject, parsed.Issuer)
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
