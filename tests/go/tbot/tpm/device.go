// Package tpm reads a TPM 2.0's identity as tbot does, for its stand-in in tests. It speaks the few commands needed by
// itself (TPM 2.0 Library, Part 3), and leaves nothing in the TPM.
package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const sysfs = "/sys/class/tpm"

// Open opens the TPM that tcti names (`swtpm:host=HOST,port=PORT`, `device:PATH`), or this machine's first TPM 2.0.
func Open(tcti string) (*TPM, error) {
	kind, arguments, _ := strings.Cut(tcti, ":")
	switch kind {
	case "":
		path, err := firstDevice(sysfs)
		if err != nil {
			return nil, err
		}
		return openDevice(path)
	case "device":
		return openDevice(arguments)
	case "swtpm":
		host, port := "127.0.0.1", "2321"
		for _, argument := range strings.Split(arguments, ",") {
			switch key, value, _ := strings.Cut(argument, "="); key {
			case "host":
				host = value
			case "port":
				port = value
			default:
				return nil, fmt.Errorf("unknown %q in the TCTI %q", argument, tcti)
			}
		}
		connection, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err != nil {
			return nil, err
		}
		return &TPM{connection, "swtpm"}, nil
	}
	return nil, fmt.Errorf("the stand-in speaks to devices and swtpm only, not to %q", tcti)
}

func openDevice(path string) (*TPM, error) {
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := device.Stat()
	if err == nil && info.Mode()&os.ModeCharDevice == 0 {
		err = fmt.Errorf("%s is no device", path)
	}
	if err != nil {
		device.Close()
		return nil, err
	}
	return &TPM{device, path}, nil
}

// firstDevice is the first TPM 2.0 by name: its resource manager's device where the kernel has one.
func firstDevice(sysfs string) (string, error) {
	entries, err := os.ReadDir(sysfs) // sorted by name
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	for _, entry := range entries {
		tpm := filepath.Join(sysfs, entry.Name())
		// Only the driver of TPM 1.2 has such a file.
		if exists(filepath.Join(tpm, "caps")) || exists(filepath.Join(tpm, "device", "caps")) {
			continue
		}
		managers, err := os.ReadDir(filepath.Join(tpm, "device", "tpmrm"))
		if err == nil && len(managers) > 0 {
			return filepath.Join("/dev", managers[0].Name()), nil
		}
		return filepath.Join("/dev", entry.Name()), nil
	}
	return "", errors.New("this machine has no TPM 2.0")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readResponse reads one whole response: a device gives it at once, a socket in any pieces.
func readResponse(from io.Reader) ([]byte, error) {
	response := make([]byte, maxResponse)
	have := 0
	for {
		n, err := from.Read(response[have:])
		have += n
		if err != nil {
			return nil, err
		}
		if have < headerSize {
			continue
		}
		size := int(binary.BigEndian.Uint32(response[2:6]))
		if size < headerSize || size > maxResponse {
			return nil, fmt.Errorf("the TPM answers with %d bytes", size)
		}
		if have >= size {
			return response[:size], nil
		}
	}
}
