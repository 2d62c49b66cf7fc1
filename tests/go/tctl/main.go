// Command tctl stands in for Teleport's tctl in tests, over a folder in place of a cluster (see package cluster).
//
// It knows `get`, `create` and `rm` of tokens and bots, and `version`; `stand-in-proxy` serves what tests need of a
// cluster's proxy. It authenticates nobody.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"tbot_tpm.test/cluster"
	"tbot_tpm.test/version"
)

const usage = `This is a stand-in for tctl, for tests. It knows:
  tctl get token/NAME --format=json | tctl get tokens --format=json | tctl get bot/NAME --format=json
  tctl create [-f] FILE
  tctl rm token/NAME | tctl rm bot/NAME
  tctl version
  tctl stand-in-proxy --listen ADDRESS:PORT [--server-version VERSION]
    It answers plain HTTP and TLS on that one port; the CA to trust is proxy-ca.pem in the folder.
The environment's STAND_IN_CLUSTER names the folder that stands in for the cluster.`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "ERROR: %v\n", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 1 && arguments[0] == "version" {
		fmt.Println(version.Line())
		return nil
	}
	folder, err := cluster.FromEnvironment()
	if err != nil {
		return err
	}
	if len(arguments) > 0 && arguments[0] == "stand-in-proxy" {
		return proxy(folder, arguments[1:])
	}
	if err := folder.Append("commands", strings.Join(arguments, " ")); err != nil {
		return err
	}
	if text, isDown := folder.Down(); isDown {
		fmt.Fprintln(os.Stderr, strings.TrimSuffix(text, "\n"))
		os.Exit(1)
	}
	if len(arguments) == 0 {
		return fmt.Errorf("no command\n%s", usage)
	}
	switch rest := arguments[1:]; arguments[0] {
	case "get":
		return get(folder, rest)
	case "create":
		return create(folder, rest)
	case "rm":
		return remove(folder, rest)
	}
	return fmt.Errorf("unknown command %q\n%s", arguments[0], usage)
}

func get(folder cluster.Folder, arguments []string) error {
	resource, arguments := takeResource(arguments)
	if len(arguments) != 1 || arguments[0] != "--format=json" {
		return fmt.Errorf("the stand-in's get needs one resource and --format=json\n%s", usage)
	}
	return folder.Locked(func() error {
		found, err := stored(folder, resource)
		if err != nil {
			return err
		}
		return printJSON(found)
	})
}

// takeResource takes the first argument that is no flag.
func takeResource(arguments []string) (string, []string) {
	for i, argument := range arguments {
		if !strings.HasPrefix(argument, "-") {
			return argument, append(append([]string{}, arguments[:i]...), arguments[i+1:]...)
		}
	}
	return "", arguments
}

func stored(folder cluster.Folder, resource string) ([]json.RawMessage, error) {
	if resource == "tokens" || resource == "token" {
		return folder.All(cluster.KindToken)
	}
	kind, name, err := kindAndName(resource)
	if err != nil {
		return nil, err
	}
	one, err := folder.Get(kind, name)
	return []json.RawMessage{one}, err
}

func kindAndName(resource string) (string, string, error) {
	kind, name, _ := strings.Cut(resource, "/")
	if kind != cluster.KindToken && kind != cluster.KindBot || name == "" {
		return "", "", fmt.Errorf("the stand-in knows token/NAME and bot/NAME, not %q", resource)
	}
	return kind, name, nil
}

func printJSON(list []json.RawMessage) error {
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "    "); err != nil {
		return err
	}
	_, err = fmt.Println(indented.String())
	return err
}

func create(folder cluster.Folder, arguments []string) error {
	force := false
	var files []string
	for _, argument := range arguments {
		switch {
		case argument == "-f" || argument == "--force":
			force = true
		case strings.HasPrefix(argument, "-"):
			return fmt.Errorf("unknown flag %q\n%s", argument, usage)
		default:
			files = append(files, argument)
		}
	}
	if len(files) != 1 {
		return fmt.Errorf("create needs one file\n%s", usage)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	done, err := folder.Create(text, force)
	for _, said := range done {
		fmt.Println(said)
	}
	return err
}

func remove(folder cluster.Folder, arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("rm needs one resource\n%s", usage)
	}
	kind, name, err := kindAndName(arguments[0])
	if err != nil {
		return err
	}
	err = folder.Locked(func() error { return folder.Remove(kind, name) })
	if err == nil {
		fmt.Printf("%s %q has been deleted\n", kind, name)
	}
	return err
}
