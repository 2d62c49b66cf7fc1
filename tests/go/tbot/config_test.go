package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const minimal = `version: v2
proxy_server: teleport.example.com:443
onboarding:
  join_method: tpm
  token: fleet
storage:
  type: directory
  path: /var/lib/teleport/bot
services: []
`

// replaced is the minimal configuration with another text in the place of one that it has.
func replaced(t *testing.T, old, new string) string {
	t.Helper()
	if !strings.Contains(minimal, old) {
		t.Fatalf("%q is not in the configuration", old)
	}
	return strings.Replace(minimal, old, new, 1)
}

func withStorage(t *testing.T, storage string) string {
	t.Helper()
	return replaced(t, "storage:\n  type: directory\n  path: /var/lib/teleport/bot", "storage: "+storage)
}

// withURI has a join_uri in the place of proxy_server and onboarding.
func withURI(uri string) string {
	_, rest, _ := strings.Cut(minimal, "token: fleet\n")
	return "version: v2\njoin_uri: " + uri + "\n" + rest
}

func accept(t *testing.T, text string) (*config, []string) {
	t.Helper()
	parsed, warnings, err := parseConfig([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return parsed, warnings
}

func refuse(t *testing.T, text, because string) {
	t.Helper()
	if _, _, err := parseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), because) {
		t.Errorf("wanted %q, got %v\n%s", because, err, text)
	}
}

func TestAConfigurationForATPMIsTaken(t *testing.T) {
	for name, text := range map[string]string{
		"minimal":          minimal,
		"auth server":      replaced(t, "proxy_server", "auth_server"),
		"version v1":       replaced(t, "v2", "v1"),
		"no version":       replaced(t, "version: v2\n", ""),
		"everything else":  minimal + "diag_addr: :3001\noneshot: true\ndebug: true\nfips: false\ninsecure: true\n",
		"memory":           withStorage(t, "{type: memory}"),
		"storage settings": withStorage(t, "{type: directory, path: /srv/bot, symlinks: secure, acls: off}"),
	} {
		t.Run(name, func(t *testing.T) { accept(t, text) })
	}
}

func TestUnknownKeysAndFurtherDocumentsAreIgnored(t *testing.T) {
	parsed, warnings := accept(t, minimal+"proxy_sever: x\nunknown: {a: [1]}\n---\nauth_server: a.example.com\n---\n*broken")
	if parsed.server() != "teleport.example.com:443" || len(warnings) > 0 {
		t.Errorf("%s %q", parsed.server(), warnings)
	}
	accept(t, withStorage(t, "{type: memory, path: /x, mode: '0700'}"))
}

func TestMergesWork(t *testing.T) {
	parsed, _ := accept(t, replaced(t, "services: []", `
base: &base {type: identity, destination: {type: memory}}
services:
- {<<: *base, name: one, credential_ttl: 1h, renewal_interval: 10m}
outputs:
- {<<: *base, name: two}
`))
	names := []string{parsed.Services[0].Name, parsed.Services[1].Name}
	if !slices.Equal(names, []string{"one", "two"}) || parsed.Services[1].Type != "identity" {
		t.Errorf("%+v", parsed.Services)
	}
}

func TestAnAddressWithoutAPortIsTaken(t *testing.T) {
	for address, server := range map[string]string{
		"t.example.com":      "t.example.com:443",
		"t.example.com:3080": "t.example.com:3080",
		"192.0.2.1":          "192.0.2.1:443",
		"'[2001:db8::1]'":    "[2001:db8::1]:443",
	} {
		if parsed, _ := accept(t, replaced(t, "teleport.example.com:443", address)); parsed.server() != server {
			t.Errorf("%s: %s", address, parsed.server())
		}
	}
}

func TestAJoinURIReplacesServerAndOnboarding(t *testing.T) {
	for uri, wanted := range map[string]config{
		"tbot+proxy+tpm://fleet@t.example.com:443":    {ProxyServer: "t.example.com:443", Onboarding: onboarding{Token: "fleet"}},
		"tbot+auth+tpm://fl%40eet@a.example.com:3025": {AuthServer: "a.example.com:3025", Onboarding: onboarding{Token: "fl@eet"}},
	} {
		parsed, _ := accept(t, withURI(uri))
		if parsed.ProxyServer != wanted.ProxyServer || parsed.AuthServer != wanted.AuthServer ||
			parsed.Onboarding.Token != wanted.Onboarding.Token {
			t.Errorf("%s: %+v", uri, parsed)
		}
	}
	refuse(t, minimal+"join_uri: tbot+proxy+tpm://fleet@t.example.com:443\n", "join_uri excludes")
	for key, value := range map[string]string{
		"proxy_server": "t.example.com:443", "auth_server": "a.example.com:3025", "onboarding": "{token: fleet}",
	} {
		refuse(t, withURI("tbot+proxy+tpm://fleet@t.example.com:443")+key+": "+value+"\n", "join_uri excludes")
	}
	refuse(t, withURI("tbot+proxy+bound-keypair://fleet@t.example.com:443"), `not "bound_keypair"`)
	refuse(t, withURI("https://t.example.com"), "the scheme")
	refuse(t, withURI("tbot+node+tpm://fleet@t.example.com"), "not proxy or auth")
	refuse(t, withURI("tbot+proxy+tpm://fleet@"), "no address")
	refuse(t, withURI("tbot+proxy+tpm://t.example.com"), "token is required")
}

func TestATokenMayBeInAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	parsed, _ := accept(t, replaced(t, "token: fleet", "token: "+file))
	if err := parsed.Onboarding.readToken(); err == nil {
		t.Error("a file that is missing was taken")
	}
	if err := os.WriteFile(file, []byte("fleet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := parsed.Onboarding.readToken(); err != nil || parsed.Onboarding.Token != "fleet" {
		t.Errorf("%+v %v", parsed.Onboarding, err)
	}
}

func TestWithoutStorageItIsTheUsualDirectory(t *testing.T) {
	text, _, _ := strings.Cut(minimal, "storage:")
	if parsed, _ := accept(t, text); parsed.Storage.Path != defaultStorage {
		t.Errorf("%+v", parsed.Storage)
	}
}

func TestAnyOtherConfigurationIsRefused(t *testing.T) {
	pins := "token: fleet\n  ca_pins: ['sha256:" + strings.Repeat("a", 64) + "']"
	for name, wanted := range map[string]struct{ text, because string }{
		"empty":               {"", "empty"},
		"no mapping":          {"[]", "cannot unmarshal"},
		"a key twice":         {minimal + "version: v2\n", "already defined"},
		"other case":          {replaced(t, "proxy_server", "Proxy_Server"), "exactly one"},
		"version":             {replaced(t, "v2", "v3"), "version"},
		"no server":           {replaced(t, "proxy_server: teleport.example.com:443\n", ""), "exactly one"},
		"both servers":        {minimal + "auth_server: auth.example.com:3025\n", "exactly one"},
		"no address":          {replaced(t, ":443", ":443:443"), "too many colons"},
		"join method":         {replaced(t, "join_method: tpm", "join_method: token"), "join_method"},
		"no token":            {replaced(t, "token: fleet", "token: ''"), "token"},
		"pins and path":       {replaced(t, "token: fleet", pins+"\n  ca_path: /x"), "exclude each other"},
		"pins and insecure":   {replaced(t, "token: fleet", pins) + "insecure: true\n", "exclude each other"},
		"no pin":              {replaced(t, "token: fleet", "token: fleet\n  ca_pins: [sha256:aa]"), "invalid pin"},
		"storage type":        {withStorage(t, "{type: s3}"), "unknown destination type"},
		"storage, no type":    {withStorage(t, "{path: /x}"), "unknown destination type"},
		"storage in a secret": {withStorage(t, "{type: kubernetes_secret, name: x}"), "directory or memory"},
		"no path":             {withStorage(t, "{type: directory}"), "needs a path"},
		"symlinks":            {withStorage(t, "{type: directory, path: /x, symlinks: no}"), "symlinks"},
		"acls":                {withStorage(t, "{type: directory, path: /x, acls: on}"), "acls"},
		"services no list":    {replaced(t, "services: []", "services: {}"), "cannot unmarshal"},
		"oneshot no boolean":  {minimal + "oneshot: maybe\n", "cannot unmarshal"},
		"no duration":         {minimal + "credential_ttl: soon\n", "cannot unmarshal"},
		"a bare number":       {minimal + "credential_ttl: 3600\n", "cannot unmarshal"},
		"days":                {minimal + "credential_ttl: 1d\n", "cannot unmarshal"},
		"no time":             {minimal + "renewal_interval: 0s\n", "positive"},
		"both names":          {minimal + "credential_ttl: 1h\ncertificate_ttl: 1h\n", "same setting"},
		"diag_addr, no port":  {minimal + "diag_addr: 127.0.0.1\n", "diag_addr"},
	} {
		t.Run(name, func(t *testing.T) { refuse(t, wanted.text, wanted.because) })
	}
}

func TestLifetimesAtTheTopAreWarnedOf(t *testing.T) {
	for more, warns := range map[string]bool{
		"": false,
		"credential_ttl: 2h\nrenewal_interval: 1h\n":   false,
		"certificate_ttl: 10m\n":                       true,
		"credential_ttl: 25h\n":                        true,
		"credential_ttl: 10m\nrenewal_interval: 11m\n": true,
		"credential_ttl: 10m\noneshot: true\n":         false,
		"credential_ttl: 25h\noneshot: true\n":         true,
	} {
		if _, warnings := accept(t, minimal+more); (len(warnings) > 0) != warns {
			t.Errorf("%q: %q", more, warnings)
		}
	}
	if parsed, _ := accept(t, minimal+"certificate_ttl: 90m\n"); parsed.CredentialTTL != 90*time.Minute {
		t.Errorf("%v", parsed.CredentialTTL)
	}
}

func TestFlagsOfStart(t *testing.T) {
	wanted := startOptions{"/etc/tbot.yaml", "/run/tbot.pid", "/run/tbot.sock"}
	for _, arguments := range [][]string{
		{"-c", "/etc/tbot.yaml", "--pid-file=/run/tbot.pid", "--diag-socket-for-updater=/run/tbot.sock"},
		{"--config=/etc/tbot.yaml", "--pid-file", "/run/tbot.pid", "--diag-socket-for-updater", "/run/tbot.sock"},
	} {
		if options, err := parseStart(arguments); err != nil || options != wanted {
			t.Errorf("%q: %+v %v", arguments, options, err)
		}
	}
	for _, arguments := range [][]string{
		{}, {"-c"}, {"-c", ""}, {"-c", "x", "--unknown=1"}, {"-c", "x", "stray"}, {"-c", "x", "--oneshot"},
	} {
		if options, err := parseStart(arguments); err == nil {
			t.Errorf("%q was taken: %+v", arguments, options)
		}
	}
}
