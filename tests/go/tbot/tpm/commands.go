package tpm

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Numbers of the TPM 2.0 Library, Part 2.
const (
	tagNoSessions = 0x8001
	tagSessions   = 0x8002

	commandCreatePrimary = 0x131
	commandNVRead        = 0x14E
	commandFlushContext  = 0x165
	commandNVReadPublic  = 0x169
	commandReadPublic    = 0x173
	commandGetCapability = 0x17A

	handleOwner       = 0x40000001
	handlePassword    = 0x40000009
	handleEndorsement = 0x4000000B

	capabilityProperties = 6
	propertyNVBufferMax  = 0x12C
	propertyPermanent    = 0x200

	headerSize  = 10
	maxResponse = 4096
)

// TPM is a connection to a TPM 2.0.
type TPM struct {
	connection io.ReadWriteCloser
	// Name says which it is, in messages.
	Name string
}

// Close ends the connection.
func (t *TPM) Close() error { return t.connection.Close() }

// Code is a response code that is not success.
type Code uint32

func (c Code) Error() string { return fmt.Sprintf("the TPM answers with the code %#x", uint32(c)) }

// run sends a command and gives the handle area and parameters of its response. With sessions, each of the first
// authorised handles has an empty password.
func (t *TPM) run(command uint32, handles []uint32, authorised int, parameters []byte) ([]byte, error) {
	tag := uint16(tagNoSessions)
	var body []byte
	for _, handle := range handles {
		body = binary.BigEndian.AppendUint32(body, handle)
	}
	if authorised > 0 {
		tag = tagSessions
		const passwordSize = 9
		body = binary.BigEndian.AppendUint32(body, uint32(authorised*passwordSize))
		for range authorised {
			body = binary.BigEndian.AppendUint32(body, handlePassword)
			body = append(body, 0, 0, 1, 0, 0) // no nonce, continueSession, the empty password
		}
	}
	body = append(body, parameters...)
	message := binary.BigEndian.AppendUint16(nil, tag)
	message = binary.BigEndian.AppendUint32(message, uint32(headerSize+len(body)))
	message = binary.BigEndian.AppendUint32(message, command)
	if _, err := t.connection.Write(append(message, body...)); err != nil {
		return nil, err
	}
	response, err := readResponse(t.connection)
	if err != nil {
		return nil, err
	}
	if code := binary.BigEndian.Uint32(response[6:headerSize]); code != 0 {
		return nil, Code(code)
	}
	return response[headerSize:], nil
}

// property is the value of one property of the TPM.
func (t *TPM) property(property uint32) (uint32, error) {
	parameters := binary.BigEndian.AppendUint32(nil, capabilityProperties)
	parameters = binary.BigEndian.AppendUint32(parameters, property)
	parameters = binary.BigEndian.AppendUint32(parameters, 1)
	response, err := t.run(commandGetCapability, nil, 0, parameters)
	if err != nil {
		return 0, err
	}
	in := input{rest: response}
	in.take(1) // whether there is more
	in.uint32()
	count, found, value := in.uint32(), in.uint32(), in.uint32()
	if in.short || count != 1 || found != property {
		return 0, fmt.Errorf("the TPM does not tell its property %#x", property)
	}
	return value, nil
}

// readNV reads a whole NV index, authorised by authority (itself, or the owner) with an empty password.
func (t *TPM) readNV(index, authority uint32) ([]byte, error) {
	block, err := t.property(propertyNVBufferMax)
	if err != nil {
		return nil, err
	}
	response, err := t.run(commandNVReadPublic, []uint32{index}, 0, nil)
	if err != nil {
		return nil, err
	}
	public := input{rest: response}
	public.take(2 + 4 + 2 + 4)        // size, index, name algorithm, attributes
	public.take(int(public.uint16())) // policy
	size := int(public.uint16())
	if public.short {
		return nil, fmt.Errorf("the TPM answers NV_ReadPublic of %#x too briefly", index)
	}
	// What a response has room for, whatever the TPM says.
	step := min(int(block), maxResponse-64)
	content := make([]byte, 0, size)
	for len(content) < size {
		parameters := binary.BigEndian.AppendUint16(nil, uint16(min(step, size-len(content))))
		parameters = binary.BigEndian.AppendUint16(parameters, uint16(len(content)))
		response, err := t.run(commandNVRead, []uint32{authority, index}, 1, parameters)
		if err != nil {
			return nil, err
		}
		in := input{rest: response}
		in.uint32() // size of the parameters
		data := in.take(int(in.uint16()))
		if in.short || len(data) == 0 {
			return nil, fmt.Errorf("the TPM answers NV_Read of %#x too briefly", index)
		}
		content = append(content, data...)
	}
	return content, nil
}

// input takes a response apart. Once it has been too short, everything further is zero.
type input struct {
	rest  []byte
	short bool
}

func (in *input) take(n int) []byte {
	if n > len(in.rest) {
		in.rest, in.short = nil, true
		return make([]byte, n)
	}
	taken := in.rest[:n]
	in.rest = in.rest[n:]
	return taken
}

func (in *input) uint16() uint16 { return binary.BigEndian.Uint16(in.take(2)) }

func (in *input) uint32() uint32 { return binary.BigEndian.Uint32(in.take(4)) }
