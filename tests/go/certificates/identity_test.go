package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/google/go-attestation/attest"
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

func TestAnIndexHoldsACertificateWhereGoAttestationFindsOne(t *testing.T) {
	der := made(t)
	joined := func(parts ...[]byte) (whole []byte) {
		for _, part := range parts {
			whole = append(whole, part...)
		}
		return whole
	}
	header := []byte{0x10, 1, 0, byte(len(der) >> 8), byte(len(der))}
	padding := []byte{0, 0xff, 0xff, 0xff, 0xff, 0xff}
	for name, trial := range map[string]struct {
		content       []byte
		isCertificate bool
	}{
		"alone":             {der, true},
		"padded":            {joined(der, padding), true},
		"after a header":    {joined(header, der), true},
		"both":              {joined(header, der, padding), true},
		"nothing":           {nil, false},
		"padding":           {padding, false},
		"cut off":           {der[:len(der)-1], false},
		"a header too long": {joined([]byte{0x10, 1, 0, 0xff, 0xff}, der), false},
		"a header alone":    {[]byte{0x10, 1, 0, 0, 0}, false},
		"a header of less":  {joined([]byte{0x10, 1, 0, 0, 9}, der), false},
	} {
		ours, ourError := fromNV(trial.content)
		theirs, theirError := attest.ParseEKCertificate(trial.content)
		if (ourError == nil) != trial.isCertificate || (theirError == nil) != trial.isCertificate {
			t.Errorf("%s: %v, and go-attestation: %v", name, ourError, theirError)
		} else if trial.isCertificate && !ours.Equal(theirs) {
			t.Errorf("%s: another certificate than go-attestation's", name)
		}
	}
}
