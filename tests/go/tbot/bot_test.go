package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tbot_tpm.test/version"
)

// served does the work of one service, and returns the files that there are.
func served(t *testing.T, b *bot, text, path string) []string {
	t.Helper()
	parsed, _ := accept(t, withServices(t, strings.ReplaceAll("["+text+"]", "HERE", path)))
	if err := b.serve(&parsed.Services[0], "web"); err != nil {
		t.Fatal(err)
	}
	var files []string
	if err := filepath.WalkDir(path, func(file string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, strings.TrimPrefix(file, path+"/"))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

func TestEachServiceWritesItsFiles(t *testing.T) {
	const directory = "destination: {type: directory, path: HERE}"
	common := "identity key key-cert.pub key.pub teleport-database-ca.crt teleport-host-ca.crt teleport-user-ca.crt tlscert"
	for _, wanted := range []struct{ service, files string }{
		{"{type: identity, " + directory + "}", common + " known_hosts ssh_config stand-in.known_hosts stand-in.ssh_config"},
		{"{type: identity, ssh_config: off, " + directory + "}", common + " known_hosts"},
		{"{type: identity, destination: {type: memory}}", ""},
		{"{type: database, service: a, " + directory + "}", common},
		{"{type: database, service: a, format: mongo, " + directory + "}", common + " mongo.crt mongo.cas"},
		{"{type: application, app_name: a, specific_tls_naming: true, " + directory + "}", common + " tls.crt tls.key tls.cas"},
		{"{type: workload-identity-jwt, selector: {name: a}, audiences: [b], " + directory + "}", "jwt_svid"},
		{"{type: database, service: a, format: cockroach, " + directory + "}", common + " cockroach/node.crt cockroach/node.key cockroach/ca.crt"},
		{"{type: ssh-multiplexer, " + directory + "}", "ssh_config known_hosts v1.sock agent.sock"},
		{"{type: workload-identity-api, selector: {name: a}, listen: 'unix://HERE/api.sock'}", "api.sock"},
	} {
		b := &bot{}
		found, files := served(t, b, wanted.service, t.TempDir()), strings.Fields(wanted.files)
		b.listeners.close()
		slices.Sort(files)
		slices.Sort(found)
		if !slices.Equal(found, files) {
			t.Errorf("%s: %q", wanted.service, found)
		}
	}
}

func TestAListenerTakesThePlaceOfASocketThatNobodyListensAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	var ours listeners
	if err := ours.listen("unix", path); err == nil {
		t.Error("another listener was pushed aside")
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	for range 2 {
		if err := ours.listen("unix", path); err != nil {
			t.Error(err)
		}
	}
	if connection, err := net.Dial("unix", path); err != nil {
		t.Error(err)
	} else {
		connection.Close()
	}
	ours.close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}

func TestServicesThatListenAreLeftOutOfOneshot(t *testing.T) {
	services := "[{type: ssh-multiplexer, name: mux, destination: {type: directory, path: /a}}, " +
		"{type: application-proxy, name: proxy, listen: 'tcp://127.0.0.1:1'}, " +
		"{type: identity, name: web, destination: {type: memory}}]"
	parsed, _ := accept(t, withServices(t, services))
	if all := newBot(parsed).health.services; len(all) != 6 {
		t.Errorf("%+v", all)
	}
	parsed.Oneshot = true
	some := newBot(parsed).health.services
	if _, ok := some["web"]; !ok || len(some) != 4 {
		t.Errorf("%+v", some)
	}
}

func TestAProxyInAuthServerIsRefusedByANewerRelease(t *testing.T) {
	defer func(before string) { version.Version = before }(version.Version)
	parsed, _ := accept(t, replaced(t, "proxy_server", "auth_server"))
	for release, isRefused := range map[string]bool{"17.5.1": false, "18.2.0": false, "19.0.0": true} {
		version.Version = release
		if err := newBot(parsed).checkServer(); (err != nil) != isRefused {
			t.Errorf("%s: %v", release, err)
		}
	}
}

func TestAPIDFileThatCannotBeWrittenIsAnError(t *testing.T) {
	if err := writePIDFile(filepath.Join(t.TempDir(), "missing/tbot.pid")); err == nil {
		t.Error("it was written")
	}
}
