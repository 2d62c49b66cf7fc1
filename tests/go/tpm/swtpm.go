package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// TPM 2.0 Library, Part 1, "Command/Response Structure": a tag, the size of the whole response, a code.
	headerSize = 10
	sizeOffset = 2
	// swtpm serves one connection at a time, and makes RSA keys meanwhile: seconds each on a busy machine.
	responseTimeout = 2 * time.Minute
)

// swtpm is go-attestation's command channel to the data port of swtpm, which takes commands and gives responses as they are.
// go-tpm's own TCP transport speaks the reference simulator's protocol, and its socket transport connects anew for each command.
type swtpm struct{ net.Conn }

// Write sends one whole command.
func (s *swtpm) Write(command []byte) (int, error) {
	if err := s.SetDeadline(time.Now().Add(responseTimeout)); err != nil {
		return 0, err
	}
	return s.Conn.Write(command)
}

// Read gives one whole response, in however many pieces it comes.
func (s *swtpm) Read(response []byte) (int, error) {
	if len(response) < headerSize {
		return 0, io.ErrShortBuffer
	}
	if _, err := io.ReadFull(s.Conn, response[:headerSize]); err != nil {
		return 0, err
	}
	size := int(binary.BigEndian.Uint32(response[sizeOffset:]))
	if size < headerSize || size > len(response) {
		return 0, fmt.Errorf("swtpm announces a response of %d bytes", size)
	}
	_, err := io.ReadFull(s.Conn, response[headerSize:size])
	return size, err
}

// MeasurementLog is what go-attestation reads only to attest a boot.
func (s *swtpm) MeasurementLog() ([]byte, error) {
	return nil, errors.New("swtpm has no measurement log")
}
