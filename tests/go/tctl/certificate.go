package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// The certificates that a proxy may have.
const (
	privateCA    = "private-ca"
	selfSigned   = "self-signed"
	intermediate = "intermediate"
)

var certificateKinds = []string{privateCA, selfSigned, intermediate}

// issued is a certificate with its key.
type issued struct {
	*x509.Certificate
	key crypto.Signer
}

// newCertificate is a server's certificate for these names and addresses, with those that lead to what clients trust, which is
// returned in DER: the CA that issued it, itself, or the root above the CA that issued it.
func newCertificate(kind string, names []string) (tls.Certificate, []byte, error) {
	chain, err := newChain(kind, names)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	last := len(chain) - 1
	certificate := tls.Certificate{PrivateKey: chain[0].key}
	// A root is not sent, since clients have it.
	for _, sent := range chain[:max(last, 1)] {
		certificate.Certificate = append(certificate.Certificate, sent.Raw)
	}
	return certificate, chain[last].Raw, nil
}

// newChain is the server's certificate and those above it.
func newChain(kind string, names []string) ([]*issued, error) {
	if kind == selfSigned {
		server, err := newSelfSigned(names)
		return []*issued{server}, err
	}
	if !slices.Contains(certificateKinds, kind) {
		return nil, fmt.Errorf("--certificate is one of %s, not %q", strings.Join(certificateKinds, ", "), kind)
	}
	root, err := newCA("CA of the stand-in for a cluster's proxy", nil)
	if err != nil {
		return nil, err
	}
	above := []*issued{root}
	if kind == intermediate {
		between, err := newCA("intermediate CA of the stand-in for a cluster's proxy", root)
		if err != nil {
			return nil, err
		}
		above = []*issued{between, root}
	}
	server := template("stand-in for a cluster's proxy", names)
	server.KeyUsage, server.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf, err := issueECDSA(server, above[0])
	return append([]*issued{leaf}, above...), err
}

// newSelfSigned is what a Teleport proxy makes that was given no certificate. Its key usages are not verified.
func newSelfSigned(names []string) (*issued, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	server := template("localhost", names)
	server.Subject.Organization = []string{"localhost"}
	server.NotAfter = server.NotBefore.AddDate(0, 0, 825)
	server.IsCA, server.BasicConstraintsValid = true, true
	server.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return issue(server, nil, key)
}

func newCA(name string, issuer *issued) (*issued, error) {
	ca := template(name, nil)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	return issueECDSA(ca, issuer)
}

func issueECDSA(template *x509.Certificate, issuer *issued) (*issued, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return issue(template, issuer, key)
}

// issue makes a certificate for a key, by an issuer or, without one, by the key itself.
func issue(template *x509.Certificate, issuer *issued, key crypto.Signer) (*issued, error) {
	if issuer == nil {
		issuer = &issued{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Certificate, key.Public(), issuer.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &issued{certificate, key}, err
}

func template(name string, names []string) *x509.Certificate {
	now := time.Now()
	made := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), // for clocks that are slow
		NotAfter:  now.AddDate(1, 0, 0),
	}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			made.IPAddresses = append(made.IPAddresses, address)
		} else {
			made.DNSNames = append(made.DNSNames, name)
		}
	}
	return made
}
