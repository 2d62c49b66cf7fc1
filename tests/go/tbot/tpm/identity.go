package tpm

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"

	"tbot_tpm.test/ekcert"
)

// TCG EK Credential Profile, and the provisioning guidance's handles.
const (
	indexCertificate = 0x01C00002
	indexNonce       = 0x01C00003
	handleStorageKey = 0x81000001
	handleEK         = 0x81010001
	defaultExponent  = 65537
	uniqueSize       = 256
)

// The default template of an RSA 2048 EK, up to its field `unique`.
const template = "0001" + "000b" + "000300b2" + // RSA, SHA-256, attributes
	"0020" + "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa" + // policy
	"0006" + "0080" + "0043" + // AES-128-CFB
	"0010" + "0800" + "00000000" // no scheme, bits, exponent

// Identity is what tbot shows a cluster of a TPM.
type Identity struct {
	// Hash is the lower-case hex SHA-256 of the EK's SubjectPublicKeyInfo.
	Hash string
	// Certificate is nil where tbot finds none that it can parse.
	Certificate *x509.Certificate
	// Key is the public key of the certificate, or else of the EK that the TPM makes.
	Key any
}

// Identity reads the EK certificate, and where there is none makes the EK.
func (t *TPM) Identity() (*Identity, error) {
	identity := &Identity{Certificate: t.certificate()}
	if identity.Certificate != nil {
		identity.Key = identity.Certificate.PublicKey
	} else {
		key, err := t.createEK()
		if err != nil {
			return nil, fmt.Errorf("making the EK: %w", err)
		}
		identity.Key = key
	}
	var err error
	if identity.Hash, err = ekcert.Hash(identity.Key); err != nil {
		return nil, fmt.Errorf("hashing the EK: %w", err)
	}
	return identity, nil
}

// certificate is nil after any error, as for tbot.
func (t *TPM) certificate() *x509.Certificate {
	content, err := t.readNV(indexCertificate, indexCertificate)
	if err != nil {
		return nil
	}
	certificate, err := ekcert.FromNV(content)
	if err != nil {
		return nil
	}
	return certificate
}

func (t *TPM) createEK() (*rsa.PublicKey, error) {
	public, err := hex.DecodeString(template)
	if err != nil {
		return nil, err
	}
	unique := make([]byte, uniqueSize)
	if nonce, err := t.readNV(indexNonce, handleOwner); err == nil {
		copy(unique, nonce)
	}
	public = binary.BigEndian.AppendUint16(public, uniqueSize)
	public = append(public, unique...)
	parameters := []byte{0, 4, 0, 0, 0, 0} // no password, no data
	parameters = binary.BigEndian.AppendUint16(parameters, uint16(len(public)))
	parameters = append(parameters, public...)
	parameters = append(parameters, 0, 0, 0, 0, 0, 0) // no outside information, no PCRs
	response, err := t.run(commandCreatePrimary, []uint32{handleEndorsement}, 1, parameters)
	if err != nil {
		return nil, err
	}
	in := input{rest: response}
	handle := in.uint32()
	in.uint32() // size of the parameters
	key, err := rsaPublic(in.take(int(in.uint16())))
	flush := binary.BigEndian.AppendUint32(nil, handle)
	if _, flushErr := t.run(commandFlushContext, nil, 0, flush); err == nil {
		err = flushErr
	}
	return key, err
}

// rsaPublic takes a TPMT_PUBLIC of an RSA storage key apart.
func rsaPublic(public []byte) (*rsa.PublicKey, error) {
	in := input{rest: public}
	kind := in.uint16()
	in.take(2 + 4)            // name algorithm, attributes
	in.take(int(in.uint16())) // policy
	in.take(6 + 2 + 2)        // symmetric algorithm, scheme, bits
	exponent := int(in.uint32())
	modulus := in.take(int(in.uint16()))
	if in.short || kind != 1 {
		return nil, errors.New("the TPM's public area is no RSA storage key")
	}
	if exponent == 0 {
		exponent = defaultExponent
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: exponent}, nil
}

// CanJoin tells what keeps tbot from using the TPM for a join beyond reading its identity: passwords, since tbot makes keys
// with empty ones and keeps them at two handles, and another key at the EK's. It only looks.
func (t *TPM) CanJoin(identity *Identity) error {
	permanent, err := t.property(propertyPermanent)
	if err != nil {
		return err
	}
	if permanent&2 != 0 {
		return errors.New("the endorsement hierarchy has a password")
	}
	_, storageErr := t.run(commandReadPublic, []uint32{handleStorageKey}, 0, nil)
	response, ekErr := t.run(commandReadPublic, []uint32{handleEK}, 0, nil)
	if permanent&1 != 0 && (storageErr != nil || ekErr != nil) {
		return errors.New("the owner hierarchy has a password, and tbot's keys are not kept in the TPM yet")
	}
	if ekErr != nil {
		return nil // tbot would keep it there
	}
	in := input{rest: response}
	key, err := rsaPublic(in.take(int(in.uint16())))
	if err != nil || !key.Equal(identity.Key) {
		return fmt.Errorf("the key at %#x is not the EK", handleEK)
	}
	return nil
}
