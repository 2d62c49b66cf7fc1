package cluster

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Kinds of resources that the stand-in stores.
const (
	KindToken = "token"
	KindBot   = "bot"
)

// MaxItem is what DynamoDB, the usual backend, stores of one resource as JSON, in bytes.
const MaxItem = 400 << 10

// Metadata is common to all resources.
type Metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Expires     *time.Time        `json:"expires,omitempty"`
	Revision    string            `json:"revision,omitempty"`
}

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

// Bot is who a token of a bot names.
type Bot struct {
	Kind     string     `json:"kind"`
	Version  string     `json:"version"`
	Metadata Metadata   `json:"metadata"`
	Spec     BotSpec    `json:"spec"`
	Status   *BotStatus `json:"status,omitempty"`
}

// BotSpec says what a bot may do.
type BotSpec struct {
	Roles  []string `json:"roles"`
	Traits []Trait  `json:"traits,omitempty"`
}

// Trait is a named list.
type Trait struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// BotStatus is the cluster's own.
type BotStatus struct {
	UserName string `json:"user_name"`
	RoleName string `json:"role_name"`
}

// Resource is a token or a bot that the cluster would take.
type Resource interface {
	kindAndName() (string, string)
	check() error
	// stamp adds what the cluster adds.
	stamp(revision string)
}

func (t *Token) kindAndName() (string, string) { return KindToken, t.Metadata.Name }
func (b *Bot) kindAndName() (string, string)   { return KindBot, b.Metadata.Name }

func (t *Token) stamp(revision string) {
	t.Metadata.Revision = revision
	if t.Metadata.Labels == nil {
		t.Metadata.Labels = map[string]string{}
	}
	t.Metadata.Labels["teleport.dev/origin"] = "dynamic"
}

func (b *Bot) stamp(revision string) {
	b.Metadata.Revision = revision
	name := "bot-" + b.Metadata.Name
	b.Status = &BotStatus{UserName: name, RoleName: name}
}

var documentStart = regexp.MustCompile(`(?m)^---(?:[ \t].*)?$`)

// documents are those of a YAML file that hold anything, each as JSON.
func documents(text []byte) ([][]byte, error) {
	var found [][]byte
	for _, document := range documentStart.Split(string(text), -1) {
		converted, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			return nil, err
		}
		if string(converted) != "null" {
			found = append(found, converted)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("there is no resource in the file")
	}
	return found, nil
}

// parse takes a resource that the cluster would take, and nothing else.
func parse(document []byte) (Resource, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(document, &head); err != nil {
		return nil, err
	}
	var resource Resource
	switch head.Kind {
	case KindToken:
		resource = new(Token)
	case KindBot:
		resource = new(Bot)
	default:
		return nil, fmt.Errorf("the stand-in knows no resources of the kind %q", head.Kind)
	}
	if err := decode(document, resource); err != nil {
		return nil, err
	}
	if err := resource.check(); err != nil {
		kind, name := resource.kindAndName()
		return nil, fmt.Errorf("%s %q: %w", kind, name, err)
	}
	return resource, nil
}

// decode refuses unknown fields, and those that differ from known ones in their case, which encoding/json takes.
func decode(document []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("there is something after the resource")
	}
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return err
	}
	return checkNames(value, reflect.TypeOf(into))
}

func checkNames(value any, kind reflect.Type) error {
	for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	if list, isList := value.([]any); isList {
		for _, item := range list {
			if err := checkNames(item, kind); err != nil {
				return err
			}
		}
	}
	fields, isObject := value.(map[string]any)
	if !isObject || kind.Kind() != reflect.Struct {
		return nil
	}
	for name, field := range fields {
		known, isKnown := kind.FieldByNameFunc(func(candidate string) bool {
			field, _ := kind.FieldByName(candidate)
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			return tag == name
		})
		if !isKnown {
			return fmt.Errorf("unknown field %q", name)
		}
		if err := checkNames(field, known.Type); err != nil {
			return err
		}
	}
	return nil
}

// What a role may be called, in lower case.
var systemRoles = []string{
	"app", "auth", "bot", "db", "discovery", "kube", "mdm", "node", "okta", "proxy", "windowsdesktop",
}

func (t *Token) check() error {
	if err := checkHead(t.Version, "v2", t.Metadata); err != nil {
		return err
	}
	if t.Spec.JoinMethod != "tpm" {
		return fmt.Errorf("the stand-in knows the join method tpm only, not %q", t.Spec.JoinMethod)
	}
	if len(t.Spec.Roles) == 0 {
		return errors.New("roles: a token needs one at least")
	}
	isBot := false
	for _, role := range t.Spec.Roles {
		if !slices.Contains(systemRoles, strings.ToLower(role)) {
			return fmt.Errorf("roles: there is no role %q", role)
		}
		isBot = isBot || strings.EqualFold(role, "bot")
	}
	if isBot && t.Spec.BotName == "" {
		return errors.New("bot_name: needed for the role Bot")
	}
	if !isBot && t.Spec.BotName != "" {
		return errors.New("bot_name: only for the role Bot")
	}
	if t.Spec.TPM == nil || len(t.Spec.TPM.Allow) == 0 {
		return errors.New("tpm.allow: needs one rule at least")
	}
	for i, element := range t.Spec.TPM.EKCertAllowedCAs {
		// Of each element the first block only.
		block, _ := pem.Decode([]byte(element))
		if block == nil || block.Type != "CERTIFICATE" {
			return fmt.Errorf("tpm.ekcert_allowed_cas[%d]: no PEM block of a certificate", i)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("tpm.ekcert_allowed_cas[%d]: %w", i, err)
		}
	}
	for i, rule := range t.Spec.TPM.Allow {
		if rule.EKPublicHash != "" {
			continue
		}
		if rule.EKCertificateSerial == "" {
			return fmt.Errorf("tpm.allow[%d]: needs ek_public_hash or ek_certificate_serial", i)
		}
		if len(t.Spec.TPM.EKCertAllowedCAs) == 0 {
			return fmt.Errorf("tpm.allow[%d]: a serial alone needs ekcert_allowed_cas", i)
		}
	}
	return nil
}

func (b *Bot) check() error {
	if err := checkHead(b.Version, "v1", b.Metadata); err != nil {
		return err
	}
	for i, role := range b.Spec.Roles {
		if role == "" {
			return fmt.Errorf("roles[%d]: is empty", i)
		}
	}
	for i, trait := range b.Spec.Traits {
		if trait.Name == "" {
			return fmt.Errorf("traits[%d]: needs a name", i)
		}
	}
	return nil
}

func checkHead(version, wanted string, metadata Metadata) error {
	if version != wanted {
		return fmt.Errorf("version: %q, but must be %s", version, wanted)
	}
	if metadata.Name == "" {
		return errors.New("metadata.name: is empty")
	}
	return nil
}
