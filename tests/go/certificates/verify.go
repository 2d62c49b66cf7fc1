package main

import (
	"crypto/x509"
	"log"
	"strconv"
	"time"

	"tbot_tpm.test/ekcert"
)

// verify says whether a cluster accepts an EK certificate: "accepted", "refused", or "unreadable" where it is no certificate.
// The arguments are the time (Unix nanoseconds, in decimal), the certificate in DER, and the CAs, each an element of
// ekcert_allowed_cas.
func verify(arguments [][]byte) string {
	nanoseconds, err := strconv.ParseInt(string(arguments[0]), 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(arguments[1])
	if err != nil {
		return "unreadable"
	}
	cas := make([]string, 0, len(arguments))
	for _, ca := range arguments[2:] {
		cas = append(cas, string(ca))
	}
	if ekcert.Verify(certificate, cas, time.Unix(0, nanoseconds)) != nil {
		return "refused"
	}
	return "accepted"
}
