// Package ekcert says what tbot and a Teleport cluster make of an EK's key and certificate, for the programs that tests use in
// their place.
package ekcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

// Hash is the SHA-256 of a public key as a PKIX SubjectPublicKeyInfo, in lower-case hex. It fails for the kinds of keys that
// Go cannot write.
func Hash(key any) (string, error) {
	encoded, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(encoded)), nil
}

// Serial is a certificate's serial number in pairs of lower-case hex digits, joined by colons: `0f:ff` for 4095.
func Serial(certificate *x509.Certificate) string {
	number := certificate.SerialNumber.Bytes()
	if len(number) == 0 {
		number = []byte{0}
	}
	pairs := make([]string, len(number))
	for i, b := range number {
		pairs[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(pairs, ":")
}
