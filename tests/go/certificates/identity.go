package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// identity says what tbot takes from the content of an NV index: "refused" where there is no certificate, "unsupported"
// where the key cannot be hashed, or the hash and the serial number.
func identity(arguments [][]byte) string {
	certificate, err := parse(arguments[0])
	if err != nil {
		return "refused"
	}
	key, err := x509.MarshalPKIXPublicKey(certificate.PublicKey)
	if err != nil {
		return "unsupported"
	}
	return fmt.Sprintf("%x %s", sha256.Sum256(key), serial(certificate))
}

// parse takes off the TCG header and what follows the certificate.
func parse(content []byte) (*x509.Certificate, error) {
	if len(content) > 5 && string(content[:3]) == "\x10\x01\x00" {
		end := 5 + int(binary.BigEndian.Uint16(content[3:5]))
		if end > len(content) {
			return nil, fmt.Errorf("the header's length reaches beyond the data")
		}
		content = content[5:end]
	}
	var first struct{ Raw asn1.RawContent }
	if _, err := asn1.Unmarshal(content, &first); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(first.Raw)
}

// serial is in pairs of hexadecimal digits, joined by colons.
func serial(certificate *x509.Certificate) string {
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
