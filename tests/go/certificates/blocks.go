package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

// blocks says what is in a PEM text: "taken" or "refused", as the cluster that is given it as an element of
// ekcert_allowed_cas does, and, for each certificate that it then loads, once, the hash of its DER.
func blocks(arguments [][]byte) string {
	answer := []string{"refused"}
	first, _ := pem.Decode(arguments[0])
	if first != nil && first.Type == "CERTIFICATE" {
		if _, err := x509.ParseCertificate(first.Bytes); err == nil {
			answer[0] = "taken"
		}
	}
	for rest := arguments[0]; len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			if hash := fmt.Sprintf("%x", sha256.Sum256(certificate.Raw)); !slices.Contains(answer, hash) {
				answer = append(answer, hash)
			}
		}
	}
	return strings.Join(answer, " ")
}
