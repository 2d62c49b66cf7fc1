package cluster

import (
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-attestation/attest"

	"tbot_tpm.test/ekcert"
)

// Request is a tbot's first message of a join: which token, EK and AK it wants to join with. The hash and serial that rules
// compare are computed from it.
type Request struct {
	Token string `json:"token"`
	// EKCertificate is DER, EKKey a PKIX public key in DER: one of the two.
	EKCertificate []byte                       `json:"ek_certificate,omitempty"`
	EKKey         []byte                       `json:"ek_key,omitempty"`
	AK            attest.AttestationParameters `json:"ak"`
}

// Challenge answers a Request: only the TPM that has both its keys can decrypt it.
type Challenge struct {
	// Session names the join in the second message.
	Session    string                      `json:"session"`
	Credential *attest.EncryptedCredential `json:"credential"`
}

// Solution is a tbot's second message: what its TPM decrypted.
type Solution struct {
	Secret []byte `json:"secret"`
}

// Attempt is a join that has begun.
type Attempt struct {
	Token        string
	EKPublicHash string
	EKCertSerial string

	// bot is empty for agents.
	bot      string
	verified bool
	rules    []Allow
	secret   []byte
}

// BeginJoin decides by the token's expiry and CAs, and makes a challenge. The bot that the token names must exist, unless
// anyBot. After an error, the attempt has only what a record of it needs.
func (f Folder) BeginJoin(request Request, now time.Time, anyBot bool) (*Attempt, *attest.EncryptedCredential, error) {
	attempt := &Attempt{Token: request.Token}
	key, certificate, err := request.ek()
	if err != nil {
		return attempt, nil, err
	}
	if attempt.EKPublicHash, err = ekcert.Hash(key); err != nil {
		return attempt, nil, err
	}
	if certificate != nil {
		attempt.EKCertSerial = ekcert.Serial(certificate)
	}
	token, err := f.tokenOf(request, anyBot)
	if err != nil {
		return attempt, nil, err
	}
	if err := token.admit(certificate, now); err != nil {
		return attempt, nil, err
	}
	attempt.bot = token.Spec.BotName
	if err := f.LockedOut(request.Token, attempt.bot, "", now); err != nil {
		return attempt, nil, err
	}
	attempt.verified = len(token.Spec.TPM.EKCertAllowedCAs) > 0
	attempt.rules = token.Spec.TPM.Allow
	activation := attest.ActivationParameters{EK: key, AK: request.AK}
	secret, credential, err := activation.Generate()
	if err != nil {
		return attempt, nil, fmt.Errorf("challenging the TPM: %w", err)
	}
	attempt.secret = secret
	return attempt, credential, nil
}

// FinishJoin decides by the proof, and then by the token's rules. A bot that joins becomes another instance. The caller holds the
// folder's lock.
func (f Folder) FinishJoin(attempt *Attempt, solution Solution, now time.Time) error {
	if err := attempt.decide(solution); err != nil || attempt.bot == "" {
		return err
	}
	_, err := f.RecordJoin(Join{
		Bot:            attempt.bot,
		Token:          attempt.Token,
		EKPublicHash:   attempt.EKPublicHash,
		EKCertSerial:   attempt.EKCertSerial,
		EKCertVerified: attempt.verified,
	}, now)
	return err
}

func (a *Attempt) decide(solution Solution) error {
	if len(a.secret) == 0 || subtle.ConstantTimeCompare(a.secret, solution.Secret) != 1 {
		return errors.New("invalid credential activation solution")
	}
	return decide(a.rules, a.EKPublicHash, a.EKCertSerial)
}

// ek is the EK's public key, and its certificate where it was sent.
func (r Request) ek() (crypto.PublicKey, *x509.Certificate, error) {
	if (r.EKCertificate == nil) == (r.EKKey == nil) {
		return nil, nil, errors.New("the request must have either an EK certificate or an EK key")
	}
	if r.EKKey != nil {
		key, err := x509.ParsePKIXPublicKey(r.EKKey)
		return key, nil, err
	}
	certificate, err := x509.ParseCertificate(r.EKCertificate)
	if err != nil {
		return nil, nil, err
	}
	return certificate.PublicKey, certificate, nil
}

// tokenOf is the token of a request.
func (f Folder) tokenOf(request Request, anyBot bool) (*Token, error) {
	stored, err := f.Get(KindToken, request.Token)
	if err != nil {
		return nil, err
	}
	var token Token
	if err := json.Unmarshal(stored, &token); err != nil {
		return nil, fmt.Errorf("token %q: %w", request.Token, err)
	}
	if token.Spec.TPM == nil {
		return nil, fmt.Errorf("token %q is not for the join method tpm", request.Token)
	}
	if bot := token.Spec.BotName; bot != "" && !anyBot {
		if _, err := f.Get(KindBot, bot); err != nil {
			return nil, err
		}
	}
	return &token, nil
}

// admit is the part of the decision that comes before the proof: expiry, then CAs.
func (t *Token) admit(certificate *x509.Certificate, now time.Time) error {
	if expires := t.Metadata.Expires; expires != nil && !expires.IsZero() && !now.Before(*expires) {
		return fmt.Errorf("token %q has expired", t.Metadata.Name)
	}
	cas := t.Spec.TPM.EKCertAllowedCAs
	if len(cas) == 0 {
		return nil
	}
	if certificate == nil {
		return errors.New("tpm did not provide an EKCert to validate against allowed CAs")
	}
	if err := ekcert.Verify(certificate, cas, now); err != nil {
		return fmt.Errorf("verifying the EK certificate: %w", err)
	}
	return nil
}

// decide is the part that comes after the proof: one of the rules must be for this hash and serial.
func decide(rules []Allow, hash, serial string) error {
	for _, rule := range rules {
		if (rule.EKPublicHash == "" || rule.EKPublicHash == hash) &&
			(rule.EKCertificateSerial == "" || rule.EKCertificateSerial == serial) {
			return nil
		}
	}
	return errors.New("validated tpm attributes did not match any allow rules")
}

// Answer answers a request in JSON.
func Answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The other side may be gone, which is its own matter.
	_ = json.NewEncoder(w).Encode(body)
}
