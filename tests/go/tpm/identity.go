package tpm

import (
	"errors"
	"fmt"

	"github.com/google/go-attestation/attest"

	"tbot_tpm.test/ekcert"
)

// Identity is the EK that tbot joins with.
type Identity struct {
	EK attest.EK
	// Hash is the lower-case hex SHA-256 of the EK's public key as a PKIX SubjectPublicKeyInfo.
	Hash string
}

// ReadIdentity takes the first of the TPM's EKs, as tbot does. go-attestation v0.6.4 lists a single one: that of the RSA
// certificate at NV index 0x01C00002, or else the RSA key that it makes from the default template. It never looks for an ECC
// certificate. A key that Go cannot encode is an error.
func ReadIdentity(device *attest.TPM) (*Identity, error) {
	eks, err := device.EKs()
	if err != nil {
		return nil, fmt.Errorf("reading the EK: %w", err)
	}
	if len(eks) == 0 {
		return nil, errors.New("the TPM has no EK")
	}
	hash, err := ekcert.Hash(eks[0].Public)
	if err != nil {
		return nil, fmt.Errorf("hashing the EK: %w", err)
	}
	return &Identity{EK: eks[0], Hash: hash}, nil
}

// Serial is the serial number of the EK certificate as rules have it, empty without one.
func (i *Identity) Serial() string {
	if i.EK.Certificate == nil {
		return ""
	}
	return ekcert.Serial(i.EK.Certificate)
}
