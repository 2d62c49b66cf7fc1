package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"tbot_tpm.test/cluster"
	"tbot_tpm.test/tpm"
)

const (
	joinTimeout = 30 * time.Second
	// No answer is longer.
	maxAnswer = 1 << 16
)

// joinOnce joins with the TPM, and writes that down.
func joinOnce(config *config) error {
	hash, err := proveTPM(config)
	if err != nil {
		return err
	}
	if config.Storage.Type == "memory" {
		return nil
	}
	return writeJoined(config, hash)
}

// proveTPM performs tbot's half of the join ceremony, and gives the EK's hash. The TPM is open only meanwhile. go-attestation keeps
// the keys that it makes at 0x81000001 and 0x81010001, as it does for tbot.
func proveTPM(config *config) (string, error) {
	device, err := tpm.OpenManaged(os.Getenv("STAND_IN_TCTI"))
	if err != nil {
		return "", fmt.Errorf("opening the TPM: %w", err)
	}
	defer device.Close()
	identity, err := tpm.ReadIdentity(device)
	if err != nil {
		return "", err
	}
	ak, err := device.NewAK(nil)
	if err != nil {
		return "", fmt.Errorf("creating the AK: %w", err)
	}
	defer ak.Close(device)
	request := cluster.Request{Token: config.Onboarding.Token, AK: ak.AttestationParameters()}
	if certificate := identity.EK.Certificate; certificate != nil {
		request.EKCertificate = certificate.Raw
	} else if request.EKKey, err = x509.MarshalPKIXPublicKey(identity.EK.Public); err != nil {
		return "", err
	}
	address := "http://" + config.server() + "/stand-in/join"
	var challenge cluster.Challenge
	if err := post(address, request, &challenge); err != nil {
		return "", fmt.Errorf("joining %s: %w", config.server(), err)
	}
	if challenge.Credential == nil {
		return "", fmt.Errorf("joining %s: the answer has no challenge", config.server())
	}
	secret, err := ak.ActivateCredentialWithEK(device, *challenge.Credential, identity.EK)
	if err != nil {
		return "", fmt.Errorf("activating the credential: %w", err)
	}
	if err := post(address+"/"+challenge.Session, cluster.Solution{Secret: secret}, &struct{}{}); err != nil {
		return "", fmt.Errorf("joining %s: %w", config.server(), err)
	}
	return identity.Hash, nil
}

// post sends a message as JSON, and reads the answer into ANSWER.
func post(address string, message, answer any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	// Not by a proxy that the environment names: the cluster of a test is near.
	client := http.Client{Timeout: joinTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post(address, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusOK {
		return json.Unmarshal(text, answer)
	}
	var refusal struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(text, &refusal) != nil || refusal.Reason == "" {
		refusal.Reason = string(text)
	}
	return fmt.Errorf("refused (%s): %s", response.Status, refusal.Reason)
}

func writeJoined(config *config, hash string) error {
	joined, err := json.MarshalIndent(map[string]string{
		"time":           time.Now().UTC().Format(time.RFC3339Nano),
		"ek_public_hash": hash,
		"token":          config.Onboarding.Token,
		"proxy":          config.server(),
	}, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(config.Storage.Path, "identity")
	if err := cluster.WriteFile(path, append(joined, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing to storage: %w", err)
	}
	return nil
}
