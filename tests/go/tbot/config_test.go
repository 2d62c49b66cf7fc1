package main

import (
	"strings"
	"testing"
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

func TestAConfigurationForATPMIsTaken(t *testing.T) {
	taken := map[string]string{
		"minimal":     minimal,
		"auth server": strings.Replace(minimal, "proxy_server", "auth_server", 1),
		"everything else": minimal + `diag_addr: 127.0.0.1:3001
oneshot: true
debug: true
fips: false
credential_ttl: 1h
renewal_interval: 20m
`,
		"services of any kind": strings.Replace(minimal, "services: []", "services: [{type: identity, anything: [1]}]", 1),
		"outputs":              strings.Replace(minimal, "services: []", "outputs: [{type: identity}]", 1),
		"memory":               replaceStorage("{type: memory}"),
		"storage settings":     replaceStorage("{type: directory, path: /srv/bot, symlinks: secure, acls: off}"),
	}
	for name, text := range taken {
		if _, err := parseConfig([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutStorageItIsTheUsualDirectory(t *testing.T) {
	text, _, _ := strings.Cut(minimal, "storage:")
	parsed, err := parseConfig([]byte(text))
	if err != nil || parsed.Storage.Path != defaultStorage {
		t.Errorf("%+v %v", parsed, err)
	}
}

func TestAnyOtherConfigurationIsRefused(t *testing.T) {
	replaced := func(old, new string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("%q is not in the configuration", old)
		}
		return strings.Replace(minimal, old, new, 1)
	}
	refused := map[string]struct{ text, because string }{
		"empty":              {"", "empty"},
		"no mapping":         {"[]", "cannot unmarshal"},
		"two documents":      {minimal + "---\n" + minimal, "more than one document"},
		"a key twice":        {minimal + "version: v2\n", "already defined"},
		"unknown key":        {minimal + "proxy_sever: x\n", "not found"},
		"unknown in storage": {replaceStorage("{type: directory, path: /x, mode: 0700}"), "not found"},
		"other case":         {replaced("proxy_server", "Proxy_Server"), "not found"},
		"version":            {replaced("v2", "v1"), "must be v2"},
		"no server":          {replaced("proxy_server: teleport.example.com:443\n", ""), "one is needed"},
		"both servers":       {minimal + "auth_server: auth.example.com:3025\n", "not both"},
		"no port":            {replaced(":443", ""), "missing port"},
		"join method":        {replaced("join_method: tpm", "join_method: token"), "join_method"},
		"no token":           {replaced("token: fleet", "token: ''"), "token"},
		"pins and path":      {replaced("token: fleet", "token: fleet\n  ca_path: /x\n  ca_pins: ['sha256:"+strings.Repeat("a", 64)+"']"), "together"},
		"no pin":             {replaced("token: fleet", "token: fleet\n  ca_pins: [sha256:aa]"), "no pin"},
		"storage type":       {replaceStorage("{type: s3}"), "storage.type"},
		"no path":            {replaceStorage("{type: directory}"), "storage.path"},
		"memory with a path": {replaceStorage("{type: memory, path: /x}"), "memory"},
		"symlinks":           {replaceStorage("{type: directory, path: /x, symlinks: no}"), "symlinks"},
		"acls":               {replaceStorage("{type: directory, path: /x, acls: on}"), "acls"},
		"services no list":   {replaced("services: []", "services: {}"), "cannot unmarshal"},
		"oneshot no boolean": {minimal + "oneshot: maybe\n", "cannot unmarshal"},
		"no duration":        {minimal + "credential_ttl: soon\n", "cannot unmarshal"},
		"no time":            {minimal + "renewal_interval: 0s\n", "positive"},
		"diag_addr, no port": {minimal + "diag_addr: 127.0.0.1\n", "diag_addr"},
	}
	for name, wanted := range refused {
		if _, err := parseConfig([]byte(wanted.text)); err == nil || !strings.Contains(err.Error(), wanted.because) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func replaceStorage(storage string) string {
	return strings.Replace(minimal, "storage:\n  type: directory\n  path: /var/lib/teleport/bot", "storage: "+storage, 1)
}

func TestFlagsOfStart(t *testing.T) {
	for _, arguments := range [][]string{
		{"-c", "/etc/tbot.yaml", "--pid-file=/run/tbot.pid"},
		{"--config=/etc/tbot.yaml", "--pid-file", "/run/tbot.pid"},
	} {
		options, err := parseStart(arguments)
		if err != nil || options != (startOptions{"/etc/tbot.yaml", "/run/tbot.pid"}) {
			t.Errorf("%q: %+v %v", arguments, options, err)
		}
	}
	for _, arguments := range [][]string{{}, {"-c"}, {"-c", ""}, {"-c", "x", "--unknown=1"}, {"-c", "x", "stray"}} {
		if options, err := parseStart(arguments); err == nil {
			t.Errorf("%q was taken: %+v", arguments, options)
		}
	}
}
