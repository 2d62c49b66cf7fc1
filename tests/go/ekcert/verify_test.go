package ekcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// issued is a certificate, its key and its PEM text.
type issued struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

// issue makes a certificate of NAME, by ISSUER or by itself, changed as CHANGE says.
func issue(t *testing.T, name string, issuer *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(4095),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{certificate, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func TestOnlyTheDirectIssuerLetsACertificateIn(t *testing.T) {
	directoryName := func(template *x509.Certificate) {
		extension := pkix.Extension{Id: subjectAltName, Critical: true, Value: []byte("\x30\x04\xa4\x02\x30\x00")}
		template.ExtraExtensions = []pkix.Extension{extension}
	}
	root := issue(t, "root", nil, nil)
	ca := issue(t, "ca", root, nil)
	plain := issue(t, "", ca, nil)
	late := issue(t, "late", nil, func(template *x509.Certificate) { template.NotAfter = now.Add(-time.Minute) })
	noCA := issue(t, "no ca", nil, func(template *x509.Certificate) { template.IsCA = false })
	critical := func(template *x509.Certificate) {
		extension := pkix.Extension{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}
		template.ExtraExtensions = []pkix.Extension{extension}
	}
	for _, trial := range []struct {
		name string
		ek   *issued
		cas  []string
		lets bool
	}{
		{"its issuer", plain, []string{ca.pem}, true},
		{"itself", plain, []string{plain.pem}, true},
		{"its issuer among others", plain, []string{root.pem, ca.pem}, true},
		{"the root alone", plain, []string{root.pem}, false},
		{"another of the issuer's name", plain, []string{issue(t, "ca", root, nil).pem}, false},
		{"both of that name", plain, []string{issue(t, "ca", root, nil).pem, ca.pem}, true},
		{"an issuer that has ended", issue(t, "", late, nil), []string{late.pem}, false},
		{"an issuer that is no CA", issue(t, "", noCA, nil), []string{noCA.pem}, false},
		{"a critical subjectAltName of a directory name", issue(t, "", ca, directoryName), []string{ca.pem}, true},
		{"an unknown critical extension", issue(t, "", ca, critical), []string{ca.pem}, false},
	} {
		if err := Verify(trial.ek.certificate, trial.cas, now); (err == nil) != trial.lets {
			t.Errorf("%s: %v", trial.name, err)
		}
	}
}
