// Package tpm opens a TPM 2.0 and reads its identity with go-attestation, the library by which tbot uses the TPM.
package tpm

import (
	"fmt"
	"net"
	"strings"

	"github.com/google/go-attestation/attest"
)

// Open opens the swtpm that tcti names (`swtpm:host=HOST,port=PORT`). Without a TCTI it opens this machine's first TPM 2.0:
// go-attestation sorts /sys/class/tpm by name and prefers the resource manager's device.
func Open(tcti string) (*attest.TPM, error) {
	if tcti == "" {
		return attest.OpenTPM(nil)
	}
	address, err := parseTCTI(tcti)
	if err != nil {
		return nil, err
	}
	connection, err := net.DialTimeout("tcp", address, responseTimeout)
	if err != nil {
		return nil, err
	}
	return attest.OpenTPM(&attest.OpenConfig{CommandChannel: &swtpm{connection}})
}

// parseTCTI is the address that a TCTI names, with the defaults of tpm2-tss.
func parseTCTI(tcti string) (string, error) {
	arguments, isSwtpm := strings.CutPrefix(tcti, "swtpm:")
	if !isSwtpm {
		return "", fmt.Errorf("invalid TCTI %q: use swtpm:host=HOST,port=PORT", tcti)
	}
	host, port := "127.0.0.1", "2321"
	for _, argument := range strings.Split(arguments, ",") {
		switch key, value, _ := strings.Cut(argument, "="); key {
		case "host":
			host = value
		case "port":
			port = value
		default:
			return "", fmt.Errorf("unknown argument %q in the TCTI %q", argument, tcti)
		}
	}
	return net.JoinHostPort(host, port), nil
}
