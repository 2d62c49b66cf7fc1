package main

import (
	"crypto/subtle"
	"errors"

	"github.com/google/go-attestation/attest"

	"tbot_tpm.test/tpm"
)

// join performs tbot's half of the join ceremony and the cluster's. go-attestation keeps the keys that it makes at 0x81000001
// and 0x81010001, as it does for tbot.
func join(device *attest.TPM) any {
	if step, err := ceremony(device); err != nil {
		return failure{Error: err.Error(), Step: step}
	}
	return map[string]bool{"joined": true}
}

// ceremony gives the step that failed with its error.
func ceremony(device *attest.TPM) (string, error) {
	identity, err := tpm.ReadIdentity(device)
	if err != nil {
		return "eks", err
	}
	ak, err := device.NewAK(nil)
	if err != nil {
		return "new_ak", err
	}
	defer ak.Close(device)
	cluster := attest.ActivationParameters{EK: identity.EK.Public, AK: ak.AttestationParameters()}
	secret, challenge, err := cluster.Generate()
	if err != nil {
		return "generate", err
	}
	solution, err := ak.ActivateCredentialWithEK(device, *challenge, identity.EK)
	if err != nil {
		return "activate", err
	}
	if subtle.ConstantTimeCompare(secret, solution) != 1 {
		return "compare", errors.New("the TPM decrypted another secret")
	}
	return "", nil
}
