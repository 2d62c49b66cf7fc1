// Command readers says what Go's YAML readers make of documents.
//
// Each line of standard input is a document as a JSON string. For each it prints one line, a JSON list of what
// go.yaml.in/yaml/v2, gopkg.in/yaml.v3 and sigs.k8s.io/yaml (YAML to JSON) read, in this order: {"read": VALUE} or
// {"refused": MESSAGE}.
//
// With the argument "first", the list has one answer: what gopkg.in/yaml.v3 reads of the first document, as tbot does.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	yamlv2 "go.yaml.in/yaml/v2"
	yamlv3 "gopkg.in/yaml.v3"
	"sigs.k8s.io/yaml"
)

type answer struct {
	Read    json.RawMessage `json:"read,omitempty"`
	Refused string          `json:"refused,omitempty"`
}

func main() {
	documents := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := bufio.NewWriter(os.Stdout)
	answers := json.NewEncoder(out)
	for {
		var document string
		if err := documents.Decode(&document); err == io.EOF {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		if err := answers.Encode(read([]byte(document))); err != nil {
			log.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

func read(text []byte) []answer {
	if len(os.Args) > 1 && os.Args[1] == "first" {
		return []answer{answered(byV3(text, false))}
	}
	return []answer{answered(byV2(text)), answered(byV3(text, true)), answered(yaml.YAMLToJSON(text))}
}

func answered(read []byte, err error) answer {
	if err != nil {
		return answer{Refused: err.Error()}
	}
	return answer{Read: read}
}

func byV2(text []byte) ([]byte, error) {
	var value any
	if err := yamlv2.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	return toJSON(value)
}

// byV3 reads the first document, which is the only one for programs that take exactly one.
func byV3(text []byte, isOnly bool) ([]byte, error) {
	var value any
	decoder := yamlv3.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(any)); isOnly && err != io.EOF {
		return nil, fmt.Errorf("after the document: %v", err)
	}
	return toJSON(value)
}

// toJSON refuses every type that JSON does not have, keys included.
func toJSON(value any) ([]byte, error) {
	checked, err := plain(value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(checked)
}

func plain(value any) (any, error) {
	switch value := value.(type) {
	case nil, bool, int, int64, uint64, float64, string:
		return value, nil
	case []any:
		for i, item := range value {
			checked, err := plain(item)
			if err != nil {
				return nil, err
			}
			value[i] = checked
		}
		return value, nil
	case map[string]any:
		for key, field := range value {
			checked, err := plain(field)
			if err != nil {
				return nil, err
			}
			value[key] = checked
		}
		return value, nil
	case map[any]any:
		fields := make(map[string]any, len(value))
		for key, field := range value {
			name, isString := key.(string)
			if !isString {
				return nil, fmt.Errorf("the key %v is a %T", key, key)
			}
			checked, err := plain(field)
			if err != nil {
				return nil, err
			}
			fields[name] = checked
		}
		return fields, nil
	default:
		return nil, fmt.Errorf("%v is a %T", value, value)
	}
}
