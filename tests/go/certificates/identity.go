package main

import (
	"github.com/google/go-attestation/attest"

	"tbot_tpm.test/ekcert"
)

// identity says what tbot takes from the content of an NV index: "refused" where there is no certificate, "unsupported"
// where the key cannot be hashed, or the hash and the serial number.
func identity(arguments [][]byte) string {
	certificate, err := attest.ParseEKCertificate(arguments[0])
	if err != nil {
		return "refused"
	}
	hash, err := ekcert.Hash(certificate.PublicKey)
	if err != nil {
		return "unsupported"
	}
	return hash + " " + ekcert.Serial(certificate)
}
