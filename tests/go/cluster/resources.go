package cluster

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Kinds of resources that the stand-in stores.
const (
	KindToken       = "token"
	KindScopedToken = "scoped_token"
	KindBot         = "bot"
	KindLock        = "lock"
	KindBotInstance = "bot_instance"
)

// MaxItem is what DynamoDB, the usual backend, stores of one resource as JSON, in bytes.
const MaxItem = 400 << 10

// Metadata is common to all resources.
type Metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Expires     *time.Time        `json:"expires,omitempty"`
	Revision    string            `json:"revision,omitempty"`
}

// Resource is a token or a bot that a file holds, and that the cluster would take.
type Resource interface {
	kindAndName() (string, string)
	check() error
	// stamp adds what the cluster adds.
	stamp(revision string)
}

// documents are those of a YAML file that hold anything, each as JSON.
func documents(text []byte) ([][]byte, error) {
	var found [][]byte
	reader := yamlstream.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		converted, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, err
		}
		if string(converted) != "null" {
			found = append(found, converted)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("there is no resource in the file")
	}
	return found, nil
}

// parse takes a resource that the cluster would take, and nothing else.
func parse(document []byte) (Resource, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(document, &head); err != nil {
		return nil, err
	}
	var resource Resource
	switch head.Kind {
	case KindToken:
		resource = new(Token)
	case KindScopedToken:
		resource = new(ScopedToken)
	case KindBot:
		resource = new(Bot)
	default:
		return nil, fmt.Errorf("the stand-in knows no resources of the kind %q", head.Kind)
	}
	if err := decode(document, resource); err != nil {
		return nil, err
	}
	if err := resource.check(); err != nil {
		kind, name := resource.kindAndName()
		return nil, fmt.Errorf("%s %q: %w", kind, name, err)
	}
	return resource, nil
}

// decode refuses unknown fields, and those that differ from known ones in their case, which encoding/json takes.
func decode(document []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("there is something after the resource")
	}
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return err
	}
	return checkNames(value, reflect.TypeOf(into))
}

func checkNames(value any, kind reflect.Type) error {
	for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	if list, isList := value.([]any); isList {
		for _, item := range list {
			if err := checkNames(item, kind); err != nil {
				return err
			}
		}
	}
	fields, isObject := value.(map[string]any)
	if !isObject || kind.Kind() != reflect.Struct {
		return nil
	}
	for name, field := range fields {
		known, isKnown := kind.FieldByNameFunc(func(candidate string) bool {
			field, _ := kind.FieldByName(candidate)
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			return tag == name
		})
		if !isKnown {
			return fmt.Errorf("unknown field %q", name)
		}
		if err := checkNames(field, known.Type); err != nil {
			return err
		}
	}
	return nil
}

func checkHead(version, wanted string, metadata Metadata) error {
	if version != wanted {
		return fmt.Errorf("version: %q, but must be %s", version, wanted)
	}
	if metadata.Name == "" {
		return errors.New("metadata.name: is empty")
	}
	return nil
}
