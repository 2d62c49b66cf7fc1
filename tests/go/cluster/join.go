package cluster

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tbot_tpm.test/ekcert"
)

// Request is what a tbot says of its TPM to join by a token.
type Request struct {
	Token        string `json:"token"`
	EKPublicHash string `json:"ek_public_hash"`
	EKCertSerial string `json:"ek_cert_serial,omitempty"`
	EKCertPEM    string `json:"ek_cert_pem,omitempty"`
}

// Admit is nil where the cluster lets the TPM in, and else says why not. The bot that the token names must be there, unless
// anyBot.
func (f Folder) Admit(request Request, now time.Time, anyBot bool) error {
	stored, err := f.Get(KindToken, request.Token)
	if err != nil {
		return err
	}
	var token Token
	if err := json.Unmarshal(stored, &token); err != nil {
		return fmt.Errorf("token %q: %w", request.Token, err)
	}
	if token.Spec.TPM == nil {
		return fmt.Errorf("token %q is not for the join method tpm", request.Token)
	}
	if bot := token.Spec.BotName; bot != "" && !anyBot {
		if _, err := f.Get(KindBot, bot); err != nil {
			return err
		}
	}
	certificate, err := request.certificate()
	if err != nil {
		return err
	}
	return token.decide(request, certificate, now)
}

// certificate is that of the request, nil for none. What the request says besides must fit it, since a cluster computes that
// by itself.
func (r Request) certificate() (*x509.Certificate, error) {
	if r.EKCertPEM == "" {
		if r.EKCertSerial != "" {
			return nil, errors.New("the request has a serial without a certificate")
		}
		return nil, nil
	}
	block, _ := pem.Decode([]byte(r.EKCertPEM))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the request's certificate is no PEM text of one")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	hash, err := ekcert.Hash(certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	if hash != r.EKPublicHash || ekcert.Serial(certificate) != r.EKCertSerial {
		return nil, errors.New("the request's hash or serial is not that of its certificate")
	}
	return certificate, nil
}

// decide is the cluster's decision, in its order: expiry, CAs, rules.
func (t *Token) decide(request Request, certificate *x509.Certificate, now time.Time) error {
	if expires := t.Metadata.Expires; expires != nil && !expires.IsZero() && !now.Before(*expires) {
		return fmt.Errorf("token %q has expired", t.Metadata.Name)
	}
	if cas := t.Spec.TPM.EKCertAllowedCAs; len(cas) > 0 {
		if certificate == nil {
			return errors.New("the token has ekcert_allowed_cas, and the TPM no EK certificate")
		}
		if err := verify(certificate, cas, now); err != nil {
			return fmt.Errorf("verifying the EK certificate: %w", err)
		}
	}
	for _, rule := range t.Spec.TPM.Allow {
		if (rule.EKPublicHash == "" || rule.EKPublicHash == request.EKPublicHash) &&
			(rule.EKCertificateSerial == "" || rule.EKCertificateSerial == request.EKCertSerial) {
			return nil
		}
	}
	return fmt.Errorf("no rule of token %q is for this TPM", t.Metadata.Name)
}

// verify takes the CAs for the only trust anchors, and knows no intermediates: one of them must be the direct issuer.
func verify(certificate *x509.Certificate, cas []string, now time.Time) error {
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

// hasDirectoryNamesOnly tells whether the subjectAltName holds directory names and nothing else, as the TCG's profile has
// it: Go does not handle those.
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

// Answer answers a request in JSON.
func Answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The other side may be gone, which is its own matter.
	_ = json.NewEncoder(w).Encode(body)
}
