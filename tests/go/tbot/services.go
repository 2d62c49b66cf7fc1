package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// service is one element of services or outputs.
type service struct {
	Type        string         `yaml:"type"`
	Name        string         `yaml:"name"`
	Destination *destination   `yaml:"destination"`
	Listen      string         `yaml:"listen"`
	Roles       []string       `yaml:"roles"`
	Fields      map[string]any `yaml:",inline"` // all others
	lifetime    lifetime
}

func (s *service) UnmarshalYAML(node *yaml.Node) error {
	type plain service
	return errors.Join(node.Decode((*plain)(s)), node.Decode(&s.lifetime))
}

var serviceName = regexp.MustCompile(`^[a-z0-9_+-]+$`)

// checkServices checks each service, and that no two have the same name.
func checkServices(services []service, oneshot bool) error {
	seen := map[string]bool{}
	for index := range services {
		service := &services[index]
		if err := service.check(oneshot); err != nil {
			return fmt.Errorf("services[%d] (%s): %w", index, service.Type, err)
		}
		if service.Name != "" && seen[service.Name] {
			return fmt.Errorf("services[%d]: the name %q is used twice", index, service.Name)
		}
		seen[service.Name] = true
	}
	return nil
}

func (s *service) check(oneshot bool) error {
	kind, ok := serviceTypes[s.Type]
	if !ok || kind.goneIn != 0 && majorVersion() >= kind.goneIn {
		return fmt.Errorf("unknown service type %q", s.Type)
	}
	if s.Name != "" && !serviceName.MatchString(s.Name) {
		return fmt.Errorf("name: %q may have lower-case letters, digits, -, _ and + only", s.Name)
	}
	if s.Name == identityService {
		return fmt.Errorf("name: %q is reserved", s.Name)
	}
	if len(s.Roles) > 0 && majorVersion() >= 19 {
		return errors.New("roles: no longer supported; the service gets all of the bot's roles")
	}
	if err := s.lifetime.checkService(oneshot, strings.HasPrefix(s.Type, "workload-identity-")); err != nil {
		return err
	}
	if err := s.checkDestination(kind.destination); err != nil {
		return err
	}
	if kind.listens {
		if _, _, err := parseListen(s.Listen); err != nil {
			return err
		}
	}
	for _, field := range kind.required {
		if !field.isIn(s.Fields) {
			return fmt.Errorf("%s is required (%s)", field.name, field.kind)
		}
	}
	if kind.check != nil {
		return kind.check(s)
	}
	return nil
}

func (s *service) checkDestination(allowed destinations) error {
	if allowed == noDestination {
		return nil // a key that is ignored, as any other
	}
	if s.Destination == nil {
		return errors.New("destination is required")
	}
	if err := s.Destination.check(); err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	if allowed == directoryOnly && s.Destination.Type != "directory" {
		return fmt.Errorf("destination: the type must be directory, not %s", s.Destination.Type)
	}
	return nil
}

// field is one that a type of service requires.
type field struct{ name, kind string }

const (
	text    = "a text"
	list    = "a list"
	mapping = "a mapping"
)

// isIn says whether the field is there, is of its kind, and is not empty.
func (f field) isIn(fields map[string]any) bool {
	switch value := fields[f.name].(type) {
	case nil:
		return false
	case []any:
		return f.kind == list && len(value) > 0
	case map[string]any:
		return f.kind == mapping && len(value) > 0
	default: // a scalar, which the YAML reader makes a text of
		return f.kind == text && value != ""
	}
}

func checkIdentity(s *service) error {
	if mode, ok := s.Fields["ssh_config"]; ok && mode != "on" && mode != "off" {
		return fmt.Errorf("ssh_config: %v is not on or off", mode)
	}
	return nil
}

// checkSelectors is for Kubernetes: each selector names clusters by exactly one of name and labels.
func checkSelectors(s *service) error {
	selectors, _ := s.Fields["selectors"].([]any)
	for _, element := range selectors {
		selector, _ := element.(map[string]any)
		name, labels := field{"name", text}, field{"labels", mapping}
		if name.isIn(selector) == labels.isIn(selector) {
			return errors.New("selectors: each has exactly one of name and labels")
		}
	}
	return nil
}

// checkRolesAnywhere is for AWS, whose sessions last 12 hours at most.
func checkRolesAnywhere(s *service) error {
	given, ok := s.Fields["session_duration"]
	if !ok {
		return nil
	}
	duration, err := time.ParseDuration(fmt.Sprint(given))
	if err != nil {
		return fmt.Errorf("session_duration: %w", err)
	}
	if duration > 12*time.Hour {
		return fmt.Errorf("session_duration: %v is longer than 12h", duration)
	}
	return nil
}

// shownName is the service's name in /readyz. tbot makes one for a service without a name, in a form that differs between
// versions; this one is the stand-in's, with characters that no configured name has.
func (s *service) shownName(index int) string {
	if s.Name != "" {
		return s.Name
	}
	return fmt.Sprintf("unnamed.%d.%s", index, s.Type)
}

// canRunOnce says whether the service runs with oneshot.
func (s *service) canRunOnce() bool {
	return !serviceTypes[s.Type].listens && len(serviceTypes[s.Type].sockets) == 0
}
