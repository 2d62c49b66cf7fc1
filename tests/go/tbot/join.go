package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"tbot_tpm.test/cluster"
	"tbot_tpm.test/ekcert"
	"tbot_tpm.test/tbot/tpm"
)

const (
	joinTimeout = 30 * time.Second
	// No answer is longer.
	maxAnswer = 1 << 16
)

// joinOnce reads the TPM, joins by it, and writes that down.
func joinOnce(config *config) error {
	device, err := tpm.Open(os.Getenv("STAND_IN_TCTI"))
	if err != nil {
		return fmt.Errorf("opening the TPM: %w", err)
	}
	defer device.Close()
	identity, err := device.Identity()
	if err != nil {
		return fmt.Errorf("reading the TPM %s: %w", device.Name, err)
	}
	if err := device.CanJoin(identity); err != nil {
		return fmt.Errorf("using the TPM %s: %w", device.Name, err)
	}
	request := cluster.Request{Token: config.Onboarding.Token, EKPublicHash: identity.Hash}
	if certificate := identity.Certificate; certificate != nil {
		request.EKCertSerial = ekcert.Serial(certificate)
		block := &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}
		request.EKCertPEM = string(pem.EncodeToMemory(block))
	}
	if err := post("http://"+config.server()+"/stand-in/join", request); err != nil {
		return fmt.Errorf("joining %s: %w", config.server(), err)
	}
	if config.Storage.Type == "memory" {
		return nil
	}
	return writeJoined(config, identity.Hash)
}

func post(address string, request cluster.Request) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	// Not by a proxy that the environment names: the cluster of a test is near.
	client := http.Client{Timeout: joinTimeout, Transport: &http.Transport{}}
	response, err := client.Post(address, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	var refusal struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(answer, &refusal) != nil || refusal.Reason == "" {
		refusal.Reason = string(answer)
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
