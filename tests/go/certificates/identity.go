package main

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"fmt"

	"tbot_tpm.test/ekcert"
)

// The TCG header of a certificate in an NV index: a tag, and a 16-bit length.
const (
	headerTag  = "\x10\x01\x00"
	headerSize = 5
)

// identity says what tbot takes from the content of an NV index: "refused" where there is no certificate, "unsupported"
// where the key cannot be hashed, or the hash and the serial number.
func identity(arguments [][]byte) string {
	certificate, err := fromNV(arguments[0])
	if err != nil {
		return "refused"
	}
	hash, err := ekcert.Hash(certificate.PublicKey)
	if err != nil {
		return "unsupported"
	}
	return hash + " " + ekcert.Serial(certificate)
}

// fromNV parses the content of an NV index, without the TCG header and padding behind the certificate. It stands in for
// go-attestation's ParseEKCertificate, and is tested against it: this program is also built by releases of Go that are too old for
// that.
func fromNV(content []byte) (*x509.Certificate, error) {
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
