package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// start joins, and then runs until it is told to end. Where the first join fails, so does it, for systemd to start it again.
func start(options startOptions) error {
	text, err := os.ReadFile(options.config)
	if err != nil {
		return err
	}
	config, err := parseConfig(text)
	if err != nil {
		return fmt.Errorf("%s: %w", options.config, err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	if options.pidFile != "" {
		pid := strconv.Itoa(os.Getpid()) + "\n"
		if err := os.WriteFile(options.pidFile, []byte(pid), 0o644); err != nil {
			logLine("WARNING: no pid file: %v", err)
		}
	}
	health := newHealth()
	if config.DiagAddr != "" {
		if err := health.serve(config.DiagAddr); err != nil {
			return err
		}
	}
	joined := make(chan error)
	join := func() { joined <- joinOnce(config) }
	go join()
	isFirst := true
	for {
		select {
		case received := <-signals:
			if received != syscall.SIGHUP {
				logLine("ended by %v", received)
				return nil
			}
			logLine("joining anew")
			go join()
		case err := <-joined:
			if err != nil && isFirst {
				return err
			}
			health.set(err)
			if err != nil {
				logLine("ERROR: %v", err)
				continue
			}
			isFirst = false
			logLine("joined %s by the token %s", config.server(), config.Onboarding.Token)
			if config.Oneshot {
				return nil
			}
		}
	}
}
