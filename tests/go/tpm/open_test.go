package tpm

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-attestation/attest"

	"tbot_tpm.test/swtpmtest"
)

func TestATCTINamesAnSwtpm(t *testing.T) {
	for tcti, wanted := range map[string]string{
		"swtpm:host=10.0.2.2,port=2400": "10.0.2.2:2400",
		"swtpm:port=2400":               "127.0.0.1:2400",
		"swtpm:host=::1":                "[::1]:2321",
		"swtpm:path=/x":                 "",
		"device:/dev/tpm0":              "",
		"tabrmd":                        "",
	} {
		if address, err := parseTCTI(tcti); address != wanted || (err == nil) != (wanted != "") {
			t.Errorf("%s: %q %v", tcti, address, err)
		}
	}
}

func TestNobodyAtThePortIsAnError(t *testing.T) {
	if _, err := Open("swtpm:host=127.0.0.1,port=1"); err == nil {
		t.Error("opened")
	}
}

// respond gives what Read makes of bytes that come in two pieces, after which the connection ends.
func respond(first, second []byte) (string, error) {
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		// The reader may have seen enough.
		_, _ = far.Write(first)
		_, _ = far.Write(second)
	}()
	response := make([]byte, 64)
	n, err := (&swtpm{near}).Read(response)
	return string(response[:n]), err
}

func TestAReadGivesAWholeResponse(t *testing.T) {
	whole := append(binary.BigEndian.AppendUint32([]byte{0x80, 1}, 14), "\x00\x00\x00\x00body"...)
	for _, cut := range []int{1, headerSize - 1, headerSize, headerSize + 1} {
		if response, err := respond(whole[:cut], whole[cut:]); err != nil || response != string(whole) {
			t.Errorf("%d: %q %v", cut, response, err)
		}
	}
	if _, err := respond(whole[:12], nil); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
	for _, size := range []uint32{0, headerSize - 1, 65} {
		binary.BigEndian.PutUint32(whole[sizeOffset:], size)
		if _, err := respond(whole, nil); err == nil || !strings.Contains(err.Error(), "announces") {
			t.Errorf("%d: %v", size, err)
		}
	}
}

func TestWhatKilledJoinsLeftLoadedIsFlushed(t *testing.T) {
	tcti := swtpmtest.Start(t)
	abandonAK := func(open func(string) (*attest.TPM, error)) error {
		device, err := open(tcti)
		if err != nil {
			t.Fatal(err)
		}
		defer device.Close()
		_, err = device.NewAK(nil)
		return err
	}
	var full error
	for range 3 { // as many keys as swtpm holds
		full = abandonAK(Open)
	}
	if full == nil {
		t.Fatal("swtpm has room for more keys")
	}
	if err := abandonAK(OpenManaged); err != nil {
		t.Error(err)
	}
}
