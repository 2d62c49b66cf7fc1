package ekcert

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
)

// made is a certificate in DER, by Go itself.
func made(t *testing.T) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestTheHeaderAndWhatFollowsTheCertificateAreTakenOff(t *testing.T) {
	der := made(t)
	header := []byte{0x10, 1, 0, byte(len(der) >> 8), byte(len(der))}
	for name, content := range map[string][]byte{
		"alone":          der,
		"padded":         append(append([]byte{}, der...), 0, 0xff, 0xff),
		"after a header": append(append([]byte{}, header...), der...),
		"both":           append(append(append([]byte{}, header...), der...), 0xff, 0xff),
	} {
		if _, err := FromNV(content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOtherContentIsNoCertificate(t *testing.T) {
	der := made(t)
	for name, content := range map[string][]byte{
		"nothing":           nil,
		"padding":           {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"cut off":           der[:len(der)-1],
		"a header too long": append([]byte{0x10, 1, 0, 0xff, 0xff}, der...),
		"a header alone":    {0x10, 1, 0, 0, 0},
		"a header of less":  append([]byte{0x10, 1, 0, 0, 9}, der...),
	} {
		if certificate, err := FromNV(content); err == nil {
			t.Errorf("%s: %v", name, certificate.Subject)
		}
	}
}

func TestASerialIsInPairsOfDigits(t *testing.T) {
	for number, written := range map[int64]string{0: "00", 2: "02", 4095: "0f:ff", 0xf5a5a5a5: "f5:a5:a5:a5"} {
		if got := Serial(&x509.Certificate{SerialNumber: big.NewInt(number)}); got != written {
			t.Errorf("%d: %s", number, got)
		}
	}
}

func TestAKeyThatGoDoesNotKnowHasNoHash(t *testing.T) {
	if hash, err := Hash(nil); err == nil {
		t.Error(hash)
	}
}
