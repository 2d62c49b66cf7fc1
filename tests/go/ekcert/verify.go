package ekcert

import (
	"crypto/x509"
	"encoding/asn1"
	"time"
)

// Verify decides about an EK certificate as a cluster does by a token's ekcert_allowed_cas. Those CAs, each a PEM text, are the
// only trust anchors, and there are no intermediates: one of them must be the direct issuer.
func Verify(certificate *x509.Certificate, cas []string, now time.Time) error {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AppendCertsFromPEM([]byte(ca))
	}
	excused := *certificate
	excused.UnhandledCriticalExtensions = nil
	for _, extension := range certificate.UnhandledCriticalExtensions {
		if !extension.Equal(subjectAltName) || !hasDirectoryNamesOnly(certificate) {
			excused.UnhandledCriticalExtensions = append(excused.UnhandledCriticalExtensions, extension)
		}
	}
	_, err := excused.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		CurrentTime:   now,
	})
	return err
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// hasDirectoryNamesOnly is true where the subjectAltName holds directory names and nothing else, as the TCG's profile has it: Go
// does not handle those.
func hasDirectoryNamesOnly(certificate *x509.Certificate) bool {
	const directoryName = 4
	for _, extension := range certificate.Extensions {
		if !extension.Id.Equal(subjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(extension.Value, &names); err != nil {
			return false
		}
		for _, name := range names {
			if name.Class != asn1.ClassContextSpecific || name.Tag != directoryName || !name.IsCompound {
				return false
			}
		}
		return len(names) > 0
	}
	return false
}
