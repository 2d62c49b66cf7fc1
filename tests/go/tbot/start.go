package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// start joins, and then runs until it is told to end. Where the first join fails, so does it, for systemd to start it again.
func start(options startOptions) error {
	config, err := readConfig(options.config)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT)
	if options.pidFile != "" {
		if err := writePIDFile(options.pidFile); err != nil {
			return err
		}
	}
	bot := newBot(config)
	defer bot.listeners.close()
	if err := bot.health.serveAll(config.DiagAddr, options.diagSocket); err != nil {
		return err
	}
	return bot.run(signals)
}

func readConfig(path string) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	config, warnings, err := parseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, warning := range warnings {
		logLine("WARNING: %s: %s", path, warning)
	}
	return config, config.Onboarding.readToken()
}

// run renews at its interval, and at once when a signal asks for it. The intervals of single services are not looked at.
func (b *bot) run(signals <-chan os.Signal) error {
	interval := time.NewTicker(b.config.RenewalInterval)
	defer interval.Stop()
	renewed := make(chan error, 1)
	renewing, again := false, false // again: once this renewal is over
	renew := func() {
		if renewing {
			again = true
			return
		}
		renewing, again = true, false
		go func() { renewed <- b.renew() }()
	}
	renew()
	for isFirst := true; ; {
		select {
		case received := <-signals:
			if received != syscall.SIGHUP && received != syscall.SIGUSR1 {
				logLine("ended by %v", received)
				return nil
			}
			logLine("renewing at once")
			renew()
		case <-interval.C:
			renew()
		case err := <-renewed:
			renewing = false
			if isFirst && err != nil || b.config.Oneshot {
				return err
			}
			isFirst = false
			if err != nil {
				logLine("ERROR: %v", err)
			}
			if again {
				renew()
			}
		}
	}
}
