package cluster

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Token is a join token of version v2.
type Token struct {
	Kind     string    `json:"kind"`
	Version  string    `json:"version"`
	Metadata Metadata  `json:"metadata"`
	Spec     TokenSpec `json:"spec"`
}

// TokenSpec says who may join as what.
type TokenSpec struct {
	Roles      []string `json:"roles"`
	JoinMethod string   `json:"join_method"`
	BotName    string   `json:"bot_name,omitempty"`
	TPM        *TPMRule `json:"tpm"`
}

// TPMRule is the part of a token for the join method tpm.
type TPMRule struct {
	EKCertAllowedCAs []string `json:"ekcert_allowed_cas,omitempty"`
	Allow            []Allow  `json:"allow"`
}

// Allow is a rule: what it names must all be equal.
type Allow struct {
	Description         string `json:"description,omitempty"`
	EKPublicHash        string `json:"ek_public_hash,omitempty"`
	EKCertificateSerial string `json:"ek_certificate_serial,omitempty"`
}

func (t *Token) kindAndName() (string, string) { return KindToken, t.Metadata.Name }

func (t *Token) stamp(revision string) {
	t.Metadata.Revision = revision
	if t.Metadata.Labels == nil {
		t.Metadata.Labels = map[string]string{}
	}
	t.Metadata.Labels["teleport.dev/origin"] = "dynamic"
}

// The roles that the stand-in knows, in lower case.
var systemRoles = []string{
	"app", "auth", "bot", "db", "discovery", "kube", "mdm", "node", "okta", "proxy", "relay", "windowsdesktop",
}

// check refuses what a cluster refuses when a token is created. Whether replacing a token is checked in the same way is not
// verified; here it is.
func (t *Token) check() error {
	if err := checkHead(t.Version, "v2", t.Metadata); err != nil {
		return err
	}
	if t.Spec.JoinMethod != "tpm" {
		return fmt.Errorf("the stand-in knows the join method tpm only, not %q", t.Spec.JoinMethod)
	}
	if err := t.Spec.checkRoles(); err != nil {
		return err
	}
	if t.Spec.TPM == nil {
		return errors.New("tpm.allow: needs one rule at least")
	}
	return t.Spec.TPM.check()
}

func (s *TokenSpec) checkRoles() error {
	if len(s.Roles) == 0 {
		return errors.New("roles: a token needs one at least")
	}
	var known []string
	for _, role := range s.Roles {
		lower := strings.ToLower(role)
		if !slices.Contains(systemRoles, lower) {
			return fmt.Errorf("roles: there is no role %q", role)
		}
		if slices.Contains(known, lower) {
			return fmt.Errorf("roles: %q is there twice", role)
		}
		known = append(known, lower)
	}
	isBot := slices.Contains(known, "bot")
	if isBot && s.BotName == "" {
		return errors.New("bot_name: needed for the role Bot")
	}
	if !isBot && s.BotName != "" {
		return errors.New("bot_name: only for the role Bot")
	}
	return nil
}

func (r *TPMRule) check() error {
	if len(r.Allow) == 0 {
		return errors.New("tpm.allow: needs one rule at least")
	}
	for i, element := range r.EKCertAllowedCAs {
		// Of each element the first block only.
		block, _ := pem.Decode([]byte(element))
		if block == nil || block.Type != "CERTIFICATE" {
			return fmt.Errorf("tpm.ekcert_allowed_cas[%d]: no PEM block of a certificate", i)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("tpm.ekcert_allowed_cas[%d]: %w", i, err)
		}
	}
	for i, rule := range r.Allow {
		if rule.EKPublicHash != "" {
			continue
		}
		if rule.EKCertificateSerial == "" {
			return fmt.Errorf("tpm.allow[%d]: needs ek_public_hash or ek_certificate_serial", i)
		}
		// Only creation asks for this: tokens that were stored before keep working.
		if len(r.EKCertAllowedCAs) == 0 {
			return fmt.Errorf("tpm.allow[%d]: a serial alone needs ekcert_allowed_cas", i)
		}
	}
	return nil
}
