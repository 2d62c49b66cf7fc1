package main

import (
	"errors"
	"fmt"
	"path/filepath"
)

// bot is a running tbot.
type bot struct {
	config    *config
	health    *health
	listeners listeners
}

func newBot(config *config) *bot {
	var names []string
	for index := range config.Services {
		if service := &config.Services[index]; !config.Oneshot || service.canRunOnce() {
			names = append(names, service.shownName(index))
		}
	}
	return &bot{config: config, health: newHealth(names...)}
}

// renew joins, and then does each service's work. It fails where the join does; what a service cannot do shows in its health.
// With oneshot that is an error too. That tbot goes on where a service fails at first is not verified.
func (b *bot) renew() error {
	err := b.join()
	b.health.report(identityService, err)
	if err != nil {
		return err
	}
	logLine("joined %s by the token %s", b.config.server(), b.config.Onboarding.Token)
	b.health.report(heartbeatService, nil)
	b.health.report(rotationService, nil)
	var failures []error
	for index := range b.config.Services {
		service := &b.config.Services[index]
		name := service.shownName(index)
		if b.config.Oneshot && !service.canRunOnce() {
			logLine("WARNING: service %s does not run with oneshot", name)
			continue
		}
		err := b.serve(service, name)
		b.health.report(name, err)
		if err != nil {
			err = fmt.Errorf("service %s: %w", name, err)
			logLine("ERROR: %v", err)
			failures = append(failures, err)
		}
	}
	if b.config.Oneshot {
		return errors.Join(failures...)
	}
	return nil
}

func (b *bot) join() error {
	if err := b.checkServer(); err != nil {
		return err
	}
	if storage := b.config.Storage; storage.Type == "directory" {
		directory, err := storage.directory()
		if err != nil {
			return fmt.Errorf("writing to storage: %w", err)
		}
		directory.Close()
	}
	if err := joinOnce(b.config); err != nil {
		return err
	}
	if b.config.Scoped {
		return errors.New("scoped is true, but the certificates of the stand-in's cluster have no scope")
	}
	return nil
}

// checkServer is about a proxy's address in auth_server, which the stand-in's cluster always has.
func (b *bot) checkServer() error {
	if b.config.AuthServer == "" || majorVersion() < 18 {
		return nil
	}
	const wrong = "auth_server is the address of a proxy: use proxy_server"
	if majorVersion() > 18 {
		return errors.New(wrong)
	}
	logLine("WARNING: %s", wrong)
	return nil
}

// serve writes a service's files, or listens.
func (b *bot) serve(service *service, name string) error {
	kind := serviceTypes[service.Type]
	if kind.listens {
		network, address, err := parseListen(service.Listen)
		if err != nil {
			return err
		}
		return b.listeners.listen(network, address)
	}
	if kind.destination == noDestination {
		return nil
	}
	switch service.Destination.Type {
	case "memory":
		return nil
	case "kubernetes_secret":
		return errors.New("the stand-in reaches no Kubernetes")
	}
	var files []string
	if kind.files != nil {
		files = kind.files(service)
	}
	warnings, err := service.Destination.write(name, files)
	for _, warning := range warnings {
		logLine("WARNING: service %s: %s", name, warning)
	}
	for _, socket := range kind.sockets {
		if err == nil {
			err = b.listeners.listen("unix", filepath.Join(service.Destination.Path, socket))
		}
	}
	return err
}
