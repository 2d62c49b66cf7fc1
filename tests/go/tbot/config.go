package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"time"

	"gopkg.in/yaml.v3"
)

// What storage is where the configuration says nothing.
const defaultStorage = "/var/lib/teleport/bot"

// config is tbot's configuration, as far as a bot that joins by its TPM needs it.
type config struct {
	Version         string         `yaml:"version"`
	ProxyServer     string         `yaml:"proxy_server"`
	AuthServer      string         `yaml:"auth_server"`
	Onboarding      onboarding     `yaml:"onboarding"`
	Storage         *storage       `yaml:"storage"`
	Services        []any          `yaml:"services"`
	Outputs         []any          `yaml:"outputs"` // the older name
	DiagAddr        string         `yaml:"diag_addr"`
	Oneshot         bool           `yaml:"oneshot"`
	Debug           bool           `yaml:"debug"`
	FIPS            bool           `yaml:"fips"`
	CredentialTTL   *time.Duration `yaml:"credential_ttl"`
	RenewalInterval *time.Duration `yaml:"renewal_interval"`
}

type onboarding struct {
	JoinMethod string   `yaml:"join_method"`
	Token      string   `yaml:"token"`
	CAPins     []string `yaml:"ca_pins"`
	CAPath     string   `yaml:"ca_path"`
}

type storage struct {
	Type     string `yaml:"type"`
	Path     string `yaml:"path"`
	Symlinks string `yaml:"symlinks"`
	ACLs     string `yaml:"acls"`
}

var pin = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// parseConfig takes one YAML document with known fields and valid values, and nothing else.
func parseConfig(text []byte) (*config, error) {
	parsed := new(config)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(parsed); err == io.EOF {
		return nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(any)); err != io.EOF {
		return nil, errors.New("there is more than one document")
	}
	if parsed.Storage == nil {
		parsed.Storage = &storage{Type: "directory", Path: defaultStorage}
	}
	return parsed, parsed.check()
}

func (c *config) check() error {
	if c.Version != "v2" {
		return fmt.Errorf("version: %q, but must be v2", c.Version)
	}
	if (c.ProxyServer == "") == (c.AuthServer == "") {
		return errors.New("proxy_server or auth_server: one is needed, and not both")
	}
	if _, _, err := net.SplitHostPort(c.server()); err != nil {
		return fmt.Errorf("proxy_server or auth_server: %w", err)
	}
	if c.DiagAddr != "" {
		if _, _, err := net.SplitHostPort(c.DiagAddr); err != nil {
			return fmt.Errorf("diag_addr: %w", err)
		}
	}
	for name, duration := range map[string]*time.Duration{
		"credential_ttl": c.CredentialTTL, "renewal_interval": c.RenewalInterval,
	} {
		if duration != nil && *duration <= 0 {
			return fmt.Errorf("%s: must be positive", name)
		}
	}
	if err := c.Onboarding.check(); err != nil {
		return err
	}
	return c.Storage.check()
}

func (o *onboarding) check() error {
	if o.JoinMethod != "tpm" {
		return fmt.Errorf("onboarding.join_method: the stand-in knows tpm only, not %q", o.JoinMethod)
	}
	if o.Token == "" {
		return errors.New("onboarding.token: is empty")
	}
	if len(o.CAPins) > 0 && o.CAPath != "" {
		return errors.New("onboarding: ca_pins and ca_path are not taken together")
	}
	for _, given := range o.CAPins {
		if !pin.MatchString(given) {
			return fmt.Errorf("onboarding.ca_pins: %q is no pin", given)
		}
	}
	return nil
}

func (s *storage) check() error {
	switch s.Type {
	case "directory":
		if s.Path == "" {
			return errors.New("storage.path: is empty")
		}
	case "memory":
		if s.Path != "" || s.Symlinks != "" || s.ACLs != "" {
			return errors.New("storage: the type memory takes nothing further")
		}
	default:
		return fmt.Errorf("storage.type: the stand-in knows directory and memory, not %q", s.Type)
	}
	switch s.Symlinks {
	case "", "secure", "try-secure", "insecure":
	default:
		return fmt.Errorf("storage.symlinks: %q", s.Symlinks)
	}
	switch s.ACLs {
	case "", "off", "try", "required":
	default:
		return fmt.Errorf("storage.acls: %q", s.ACLs)
	}
	return nil
}

// server is whom the bot joins at.
func (c *config) server() string { return c.ProxyServer + c.AuthServer }
