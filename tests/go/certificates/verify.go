package main

import (
	"crypto/x509"
	"encoding/asn1"
	"log"
	"strconv"
	"time"
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
	roots := x509.NewCertPool()
	for _, element := range arguments[2:] {
		roots.AppendCertsFromPEM(element)
	}
	excuse(certificate)
	_, err = certificate.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		CurrentTime:   time.Unix(0, nanoseconds),
	})
	if err != nil {
		return "refused"
	}
	return "accepted"
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// excuse takes a subjectAltName of nothing but directory names off the critical extensions that were not handled.
func excuse(certificate *x509.Certificate) {
	var unhandled []asn1.ObjectIdentifier
	for _, extension := range certificate.UnhandledCriticalExtensions {
		if !extension.Equal(subjectAltName) || !hasDirectoryNamesOnly(certificate) {
			unhandled = append(unhandled, extension)
		}
	}
	certificate.UnhandledCriticalExtensions = unhandled
}

func hasDirectoryNamesOnly(certificate *x509.Certificate) bool {
	for _, extension := range certificate.Extensions {
		if !extension.Id.Equal(subjectAltName) {
			continue
		}
		var names asn1.RawValue
		if _, err := asn1.Unmarshal(extension.Value, &names); err != nil {
			log.Fatal(err)
		}
		for rest := names.Bytes; len(rest) > 0; {
			var name asn1.RawValue
			var err error
			if rest, err = asn1.Unmarshal(rest, &name); err != nil {
				log.Fatal(err)
			}
			if name.Class != asn1.ClassContextSpecific || name.Tag != 4 || !name.IsCompound {
				return false
			}
		}
		return len(names.Bytes) > 0
	}
	return false
}
