package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"tbot_tpm.test/ekcert"
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

func requestOf(t *testing.T, ek *issued) Request {
	t.Helper()
	hash, err := ekcert.Hash(ek.certificate.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return Request{"fleet", hash, ekcert.Serial(ek.certificate), ek.pem}
}

func tokenOf(rule Allow, cas ...string) *Token {
	return &Token{Spec: TokenSpec{TPM: &TPMRule{EKCertAllowedCAs: cas, Allow: []Allow{{EKPublicHash: "other"}, rule}}}}
}

func TestRulesCompareHashAndSerialExactly(t *testing.T) {
	request := Request{EKPublicHash: "aa", EKCertSerial: "0f:ff"}
	for _, rule := range []struct {
		Allow
		lets bool
	}{
		{Allow{EKPublicHash: "aa"}, true},
		{Allow{EKPublicHash: "aa", EKCertificateSerial: "0f:ff"}, true},
		{Allow{EKCertificateSerial: "0f:ff"}, true},
		{Allow{EKPublicHash: "AA"}, false},
		{Allow{EKPublicHash: "aa", EKCertificateSerial: "0F:FF"}, false},
		{Allow{EKPublicHash: "bb", EKCertificateSerial: "0f:ff"}, false},
	} {
		if err := tokenOf(rule.Allow).decide(request, nil, now); (err == nil) != rule.lets {
			t.Errorf("%+v: %v", rule, err)
		}
	}
}

func TestATokenEndsAtItsTime(t *testing.T) {
	token := tokenOf(Allow{EKPublicHash: "aa"})
	for _, end := range []struct {
		time.Time
		lets bool
	}{{now.Add(time.Second), true}, {now, false}, {now.Add(-time.Second), false}} {
		token.Metadata.Expires = &end.Time
		if err := token.decide(Request{EKPublicHash: "aa"}, nil, now); (err == nil) != end.lets {
			t.Errorf("%v: %v", end, err)
		}
	}
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
		request := requestOf(t, trial.ek)
		err := tokenOf(Allow{EKPublicHash: request.EKPublicHash}, trial.cas...).decide(request, trial.ek.certificate, now)
		if (err == nil) != trial.lets {
			t.Errorf("%s: %v", trial.name, err)
		}
	}
	if err := tokenOf(Allow{EKPublicHash: "aa"}, ca.pem).decide(Request{EKPublicHash: "aa"}, nil, now); err == nil {
		t.Error("without a certificate")
	}
}

func TestAJoinNeedsItsTokenItsBotAndWhatTheCertificateSays(t *testing.T) {
	folder := Folder(t.TempDir())
	ek := issue(t, "", nil, nil)
	request := requestOf(t, ek)
	refused := func(request Request, anyBot bool, because string) {
		t.Helper()
		if err := folder.Admit(request, now, anyBot); err == nil || !strings.Contains(err.Error(), because) {
			t.Errorf("%v, but expected %q", err, because)
		}
	}
	refused(request, false, `provision token "fleet" not found`)
	create(t, folder, strings.Replace(tokenText, "ek_public_hash: aa", "ek_public_hash: '"+request.EKPublicHash+"'", 1), false)
	refused(request, false, `bot "web" not found`)
	if err := folder.Admit(request, now, true); err != nil {
		t.Error(err)
	}
	create(t, folder, botText, false)
	if err := folder.Admit(request, now, false); err != nil {
		t.Error(err)
	}
	other := request
	other.EKCertSerial = "01"
	refused(other, false, "not that of its certificate")
	other = request
	other.EKCertPEM = ""
	refused(other, false, "without a certificate")
	other = request
	other.EKCertPEM = "no PEM text"
	refused(other, false, "no PEM text")
}
