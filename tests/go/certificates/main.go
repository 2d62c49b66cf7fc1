// Command certificates says what Go's own crypto/x509 and encoding/pem make of certificates and PEM texts, as tbot and a cluster
// use them. It imports Go's own packages alone, so that every release of Go can build it.
//
// Its argument names the question: identity, verify or blocks. For each line of standard input, arguments in base64 separated
// by blanks, it prints one line.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"strings"
)

var questions = map[string]func(arguments [][]byte) string{
	"identity": identity,
	"verify":   verify,
	"blocks":   blocks,
}

func main() {
	answer := questions[os.Args[1]]
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answers := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		var arguments [][]byte
		for _, argument := range strings.Split(lines.Text(), " ") {
			bytes, err := base64.StdEncoding.DecodeString(argument)
			if err != nil {
				log.Fatal(err)
			}
			arguments = append(arguments, bytes)
		}
		fmt.Fprintln(answers, answer(arguments))
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if err := answers.Flush(); err != nil {
		log.Fatal(err)
	}
}
