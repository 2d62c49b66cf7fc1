// Package ekcert reads an EK certificate as tbot and a Teleport cluster do, for the stand-ins that tests use in their place:
// by Go's crypto/x509, since what that refuses counts as no certificate.
package ekcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// The TCG header of a certificate in an NV index: a tag, and a 16-bit length.
const (
	headerTag  = "\x10\x01\x00"
	headerSize = 5
)

// FromNV parses the content of an NV index, without the TCG header and padding behind the certificate.
func FromNV(content []byte) (*x509.Certificate, error) {
	if len(content) > headerSize && string(content[:len(headerTag)]) == headerTag {
		end := headerSize + int(binary.BigEndian.Uint16(content[len(headerTag):headerSize]))
		if end > len(content) {
			return nil, fmt.Errorf("the header's length of %d bytes reaches beyond the %d of the index", end, len(content))
		}
		content = content[headerSize:end]
	}
	var first struct{ Raw asn1.RawContent }
	if _, err := asn1.Unmarshal(content, &first); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(first.Raw)
}

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
