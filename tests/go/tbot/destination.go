package main

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"
)

// destination is where files go: the bot's storage, or a service's output.
type destination struct {
	Type     string   `yaml:"type"`
	Path     string   `yaml:"path"`
	Symlinks string   `yaml:"symlinks"`
	ACLs     string   `yaml:"acls"`
	Readers  []reader `yaml:"readers"`
	Name     string   `yaml:"name"` // of a Kubernetes secret
}

// reader is a user or a group that may read a directory's files.
type reader struct {
	User  account `yaml:"user"`
	Group account `yaml:"group"`
}

// account is a name or a number.
type account string

func (a *account) UnmarshalYAML(node *yaml.Node) error {
	var name string
	if err := node.Decode(&name); err != nil {
		return errors.New("readers: a user or group is a name or a number")
	}
	*a = account(name)
	return nil
}

func (d *destination) check() error {
	switch d.Type {
	case "directory":
		if d.Path == "" {
			return errors.New("a directory needs a path")
		}
	case "memory":
	case "kubernetes_secret":
		if d.Name == "" {
			return errors.New("a kubernetes_secret needs a name")
		}
	default:
		return fmt.Errorf("unknown destination type %q", d.Type)
	}
	switch d.Symlinks {
	case "", "secure", "try-secure", "insecure":
	default:
		return fmt.Errorf("symlinks: %q is not secure, try-secure or insecure", d.Symlinks)
	}
	switch d.ACLs {
	case "", "off", "try", "required":
	default:
		return fmt.Errorf("acls: %q is not off, try or required", d.ACLs)
	}
	for _, reader := range d.Readers {
		if (reader.User == "") == (reader.Group == "") {
			return errors.New("readers: each has exactly one of user and group")
		}
	}
	return nil
}
