// Command attest says what go-attestation, the library by which tbot and a Teleport cluster use the TPM, makes of a TPM.
//
// It is a filter: for each line `identify TCTI` or `join TCTI` on standard input it prints one line of JSON. Given the two words
// as arguments it answers that question alone.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"

	"github.com/google/go-attestation/attest"

	"tbot_tpm.test/tpm"
)

// failure is the answer where something failed; Step says what, in a join.
type failure struct {
	Error string `json:"error"`
	Step  string `json:"step,omitempty"`
}

var questions = map[string]struct {
	answer func(*attest.TPM) any
	// openStep is the step of a failure to open the TPM.
	openStep string
}{
	"identify": {answer: identify},
	"join":     {answer: join, openStep: "open"},
}

func main() {
	var err error
	switch len(os.Args) {
	case 1:
		err = filter()
	case 3:
		err = json.NewEncoder(os.Stdout).Encode(ask(os.Args[1], os.Args[2]))
	default:
		err = fmt.Errorf("usage: attest [identify|join TCTI]")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// filter answers each line in a process of its own: go-attestation v0.6.4 writes the EK nonce of one TPM into the template that it
// uses for the next.
func filter() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, tcti, _ := strings.Cut(lines.Text(), " ")
		command := exec.Command(self, word, tcti)
		command.Stderr = os.Stderr
		answer, err := command.Output()
		if err != nil {
			answer, err = json.Marshal(failure{Error: fmt.Sprintf("asking go-attestation: %v", err)})
			answer = append(answer, '\n')
		}
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// ask opens the TPM, puts one question to it and closes it.
func ask(word, tcti string) any {
	question, isKnown := questions[word]
	if !isKnown {
		return failure{Error: fmt.Sprintf("unknown question %q: use identify or join", word)}
	}
	device, err := tpm.Open(tcti)
	if err != nil {
		return failure{Error: err.Error(), Step: question.openStep}
	}
	defer device.Close()
	return question.answer(device)
}

// identity is the answer to `identify`; the certificate is DER.
type identity struct {
	Hash        string  `json:"hash"`
	Serial      *string `json:"serial"`
	Certificate []byte  `json:"certificate"`
}

func identify(device *attest.TPM) any {
	read, err := tpm.ReadIdentity(device)
	if err != nil {
		return failure{Error: err.Error()}
	}
	answer := identity{Hash: read.Hash}
	if certificate := read.EK.Certificate; certificate != nil {
		serial := read.Serial()
		answer.Serial, answer.Certificate = &serial, certificate.Raw
	}
	return answer
}
