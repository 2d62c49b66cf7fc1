package main

import (
	"errors"
	"fmt"
	"time"
)

const (
	defaultTTL      = 60 * time.Minute
	defaultInterval = 20 * time.Minute
	longestTTL      = 24 * time.Hour
)

// lifetime is how long credentials last, and how often they are renewed: at the top of the configuration, and in a service.
// The YAML reader refuses what is no duration.
type lifetime struct {
	TTL      *time.Duration `yaml:"credential_ttl"`
	OlderTTL *time.Duration `yaml:"certificate_ttl"` // an alias at the top
	Interval *time.Duration `yaml:"renewal_interval"`
}

func (l *lifetime) orDefault() (ttl, interval time.Duration) {
	ttl, interval = defaultTTL, defaultInterval
	if l.OlderTTL != nil {
		ttl = *l.OlderTTL
	}
	if l.TTL != nil {
		ttl = *l.TTL
	}
	if l.Interval != nil {
		interval = *l.Interval
	}
	return ttl, interval
}

// checkTop is for the top of the configuration, where credentials that last too short or too long are a warning. That both
// names of the TTL at once, and durations that are not positive, are refused is the stand-in's strictness (not verified).
func (l *lifetime) checkTop(oneshot bool) (warnings []string, err error) {
	if l.TTL != nil && l.OlderTTL != nil {
		return nil, errors.New("credential_ttl and certificate_ttl are the same setting")
	}
	if err := l.checkPositive(); err != nil {
		return nil, err
	}
	if err := l.checkLength(oneshot, false); err != nil {
		warnings = append(warnings, err.Error())
	}
	return warnings, nil
}

// checkService is for a service, which has both settings or neither.
func (l *lifetime) checkService(oneshot, isWorkloadIdentity bool) error {
	if (l.TTL == nil) != (l.Interval == nil) {
		return errors.New("credential_ttl and renewal_interval: both are required, or neither")
	}
	if l.TTL == nil {
		return nil
	}
	return errors.Join(l.checkPositive(), l.checkLength(oneshot, isWorkloadIdentity))
}

func (l *lifetime) checkPositive() error {
	ttl, interval := l.orDefault()
	if ttl <= 0 {
		return errors.New("credential_ttl must be positive")
	}
	if interval <= 0 {
		return errors.New("renewal_interval must be positive")
	}
	return nil
}

func (l *lifetime) checkLength(oneshot, isWorkloadIdentity bool) error {
	ttl, interval := l.orDefault()
	if ttl < interval && !oneshot {
		return fmt.Errorf("credential_ttl %v is shorter than renewal_interval %v", ttl, interval)
	}
	if ttl > longestTTL && !isWorkloadIdentity {
		return fmt.Errorf("credential_ttl %v is longer than %v", ttl, longestTTL)
	}
	return nil
}
