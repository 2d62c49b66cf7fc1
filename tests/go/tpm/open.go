// Package tpm opens a TPM 2.0 and reads its identity with go-attestation, the library by which tbot uses the TPM.
package tpm

import (
	"fmt"
	"net"
	"strings"

	"github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/legacy/tpm2"
	"github.com/google/go-tpm/tpmutil"
)

// Open opens the swtpm that tcti names (`swtpm:host=HOST,port=PORT`). Without a TCTI it opens this machine's first TPM 2.0:
// go-attestation sorts /sys/class/tpm by name and prefers the resource manager's device.
func Open(tcti string) (*attest.TPM, error) {
	return open(tcti, func(*swtpm) error { return nil })
}

// OpenManaged opens the TPM as a resource manager presents it: without what others left loaded. swtpm has no resource manager, and
// two joins that were killed would fill it. The kernel's does that by itself.
func OpenManaged(tcti string) (*attest.TPM, error) {
	return open(tcti, flush)
}

func open(tcti string, prepare func(*swtpm) error) (*attest.TPM, error) {
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
	channel := &swtpm{connection}
	if err := prepare(channel); err != nil {
		channel.Close()
		return nil, err
	}
	return attest.OpenTPM(&attest.OpenConfig{CommandChannel: channel})
}

// flush unloads all keys and sessions.
func flush(channel *swtpm) error {
	const most = 255 // as many as there are
	for _, kind := range []tpm2.HandleType{tpm2.HandleTypeTransient, tpm2.HandleTypeLoadedSession} {
		handles, _, err := tpm2.GetCapability(channel, tpm2.CapabilityHandles, most, uint32(kind)<<24)
		if err != nil {
			return fmt.Errorf("listing what the TPM has loaded: %w", err)
		}
		for _, handle := range handles {
			if err := tpm2.FlushContext(channel, handle.(tpmutil.Handle)); err != nil {
				return fmt.Errorf("flushing %v: %w", handle, err)
			}
		}
	}
	return nil
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
