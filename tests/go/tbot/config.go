package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	// Where the bot keeps its state if the configuration does not say.
	defaultStorage = "/var/lib/teleport/bot"
	// The port of an address that names none. tbot takes such an address; that the port is this one is the stand-in's choice.
	defaultPort = "443"
)

// config is tbot's configuration, as far as a bot that joins by its TPM needs it.
type config struct {
	Version         string        `yaml:"version"`
	JoinURI         string        `yaml:"join_uri"`
	ProxyServer     string        `yaml:"proxy_server"`
	AuthServer      string        `yaml:"auth_server"`
	Onboarding      onboarding    `yaml:"onboarding"`
	Storage         *destination  `yaml:"storage"`
	Services        []service     `yaml:"services"`
	Outputs         []service     `yaml:"outputs"` // the older name
	DiagAddr        string        `yaml:"diag_addr"`
	Oneshot         bool          `yaml:"oneshot"`
	Debug           bool          `yaml:"debug"`
	FIPS            bool          `yaml:"fips"`
	Insecure        bool          `yaml:"insecure"`
	Scoped          bool          `yaml:"scoped"`
	CredentialTTL   time.Duration `yaml:"-"`
	RenewalInterval time.Duration `yaml:"-"`
}

type onboarding struct {
	JoinMethod string   `yaml:"join_method"`
	Token      string   `yaml:"token"`
	CAPins     []string `yaml:"ca_pins"`
	CAPath     string   `yaml:"ca_path"`
}

var pin = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// parseConfig reads the first YAML document and ignores keys that it does not know, as tbot does. The texts are its warnings.
func parseConfig(text []byte) (*config, []string, error) {
	var document yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&document); err == io.EOF {
		return nil, nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, nil, err
	}
	parsed := new(config)
	var given lifetime
	if err := document.Decode(parsed); err != nil {
		return nil, nil, err
	}
	if err := document.Decode(&given); err != nil {
		return nil, nil, err
	}
	parsed.CredentialTTL, parsed.RenewalInterval = given.orDefault()
	parsed.Services = append(parsed.Services, parsed.Outputs...)
	parsed.Outputs = nil
	if parsed.Storage == nil {
		parsed.Storage = &destination{Type: "directory", Path: defaultStorage}
	}
	if err := parsed.replaceByJoinURI(); err != nil {
		return nil, nil, err
	}
	warnings, err := given.checkTop(parsed.Oneshot)
	return parsed, warnings, errors.Join(err, parsed.check())
}

func (c *config) check() error {
	switch c.Version {
	// A configuration of v1, or without a version, is read with the keys of v2: what else v1 had is not known here.
	case "", "v1", "v2":
	default:
		return fmt.Errorf("version: %q is unknown; the newest is v2", c.Version)
	}
	if (c.ProxyServer == "") == (c.AuthServer == "") {
		return errors.New("exactly one of proxy_server and auth_server is required")
	}
	if _, err := withPort(c.ProxyServer + c.AuthServer); err != nil {
		return fmt.Errorf("proxy_server or auth_server: %w", err)
	}
	if c.DiagAddr != "" {
		if _, _, err := net.SplitHostPort(c.DiagAddr); err != nil {
			return fmt.Errorf("diag_addr: %w", err)
		}
	}
	if err := c.Onboarding.check(); err != nil {
		return err
	}
	if c.Insecure && len(c.Onboarding.CAPins) > 0 {
		return errors.New("insecure and onboarding.ca_pins exclude each other")
	}
	if err := c.Storage.check(); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	if c.Storage.Type == "kubernetes_secret" {
		return errors.New("storage: the type must be directory or memory")
	}
	return checkServices(c.Services, c.Oneshot)
}

func (o *onboarding) check() error {
	if o.JoinMethod != "tpm" {
		return fmt.Errorf("onboarding.join_method: the stand-in knows tpm only, not %q", o.JoinMethod)
	}
	if o.Token == "" {
		return errors.New("onboarding.token is required")
	}
	if len(o.CAPins) > 0 && o.CAPath != "" {
		return errors.New("onboarding: ca_pins and ca_path exclude each other")
	}
	for _, given := range o.CAPins {
		if !pin.MatchString(given) {
			return fmt.Errorf("onboarding.ca_pins: invalid pin %q", given)
		}
	}
	return nil
}

// readToken replaces the path of a file with the token by that token. An absolute path counts as one; whether tbot takes
// others for a path is not verified.
func (o *onboarding) readToken() error {
	if !filepath.IsAbs(o.Token) {
		return nil
	}
	text, err := os.ReadFile(o.Token)
	if err != nil {
		return fmt.Errorf("onboarding.token: %w", err)
	}
	if o.Token = strings.TrimSpace(string(text)); o.Token == "" {
		return errors.New("onboarding.token: the file is empty")
	}
	return nil
}

// server is the address at which the bot joins.
func (c *config) server() string {
	address, err := withPort(c.ProxyServer + c.AuthServer)
	if err != nil {
		panic(err) // check refuses it
	}
	return address
}

func withPort(address string) (string, error) {
	_, _, err := net.SplitHostPort(address)
	var wrong *net.AddrError
	if errors.As(err, &wrong) && wrong.Err == "missing port in address" {
		address = net.JoinHostPort(strings.Trim(address, "[]"), defaultPort)
		_, _, err = net.SplitHostPort(address)
	}
	return address, err
}
