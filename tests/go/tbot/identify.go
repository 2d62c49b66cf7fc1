package main

import (
	"fmt"
	"os"

	"tbot_tpm.test/tpm"
)

// identify prints the identity that tbot would join with, as newer versions of tbot do.
func identify() error {
	device, err := tpm.OpenManaged(os.Getenv("STAND_IN_TCTI"))
	if err != nil {
		return fmt.Errorf("opening the TPM: %w", err)
	}
	defer device.Close()
	identity, err := tpm.ReadIdentity(device)
	if err != nil {
		return err
	}
	logLine("read by a stand-in for tbot")
	fmt.Println("TPM Information:")
	fmt.Printf("EK Public Hash: %s\n", identity.Hash)
	fmt.Printf("EK Certificate Detected: %t\n", identity.EK.Certificate != nil)
	if identity.EK.Certificate != nil {
		fmt.Printf("EK Certificate Serial: %s\n", identity.Serial())
	}
	return nil
}
