// Package cluster stands in for a Teleport cluster in tests: tokens, bots, their instances and locks as files in a folder, and the
// decision whether a TPM may join.
//
// It is none: only a join proves anything, that the host has the TPM whose EK it names. Nothing else is authenticated.
package cluster

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// NotFound is the error for a resource that the cluster does not have.
type NotFound struct{ Kind, Name string }

// Error words it as clusters are known to for tokens and bots; for other kinds, as the stand-in does.
func (e NotFound) Error() string {
	switch e.Kind {
	case KindToken:
		return fmt.Sprintf("provisioning token(%s) not found", masked(e.Name))
	case KindBot:
		if !strings.Contains(e.Name, "::") {
			return fmt.Sprintf("user %q not found", UserOfBot(e.Name))
		}
	}
	return e.Plain()
}

// Plain names the resource. No version of tctl is known to word it like this; it stands for the wordings that nobody has verified.
func (e NotFound) Plain() string {
	kind := strings.ReplaceAll(e.Kind, "_", " ")
	if e.Kind == KindToken {
		kind = "provision token"
	}
	return fmt.Sprintf("%s %q not found", kind, e.Name)
}

// masked has stars for the first three quarters of a name. How a part of a character is rounded is not verified.
func masked(name string) string {
	hidden := len(name) * 3 / 4
	return strings.Repeat("*", hidden) + name[hidden:]
}

// Folder is a cluster's state: KIND/NAME.json holds a resource (its name as in an address), `commands` each command line of tctl,
// `joins` each join, `finds` each question for the version, and proxy-ca.pem the CA of the proxy. A test may put there `down`, the
// text with which everything fails; `find`, the text that answers that question; and a program `before-create`.
type Folder string

// inHook keeps what the hook itself runs from running it.
const inHook = "STAND_IN_HOOK"

// FromEnvironment is the folder that STAND_IN_CLUSTER names.
func FromEnvironment() (Folder, error) {
	folder := os.Getenv("STAND_IN_CLUSTER")
	info, err := os.Stat(folder)
	if err == nil && !info.IsDir() {
		err = errors.New("is no folder")
	}
	if err != nil {
		return "", fmt.Errorf("STAND_IN_CLUSTER must name the stand-in's folder: %w", err)
	}
	return Folder(folder), nil
}

func (f Folder) path(elements ...string) string {
	return filepath.Join(append([]string{string(f)}, elements...)...)
}

func (f Folder) resource(kind, name string) string { return f.path(kind, url.PathEscape(name)+".json") }

// Down is the text of `down`, and whether that file is there.
func (f Folder) Down() (string, bool) { return f.fromTest("down") }

// Find is the text of `find`, and whether that file is there.
func (f Folder) Find() (string, bool) { return f.fromTest("find") }

func (f Folder) fromTest(name string) (string, bool) {
	text, err := os.ReadFile(f.path(name))
	return string(text), err == nil
}

// Append adds a line to one of the folder's records.
func (f Folder) Append(name, line string) error {
	file, err := os.OpenFile(f.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(line + "\n")
	return errors.Join(err, file.Close())
}

// Locked does something while no other command does anything.
func (f Folder) Locked(what func() error) error {
	lock, err := os.OpenFile(f.path(".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return what()
}

// Get is a stored resource, as JSON.
func (f Folder) Get(kind, name string) (json.RawMessage, error) {
	stored, err := os.ReadFile(f.resource(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, NotFound{kind, name}
	}
	return stored, err
}

// All are the resources of a kind, by name.
func (f Folder) All(kind string) ([]json.RawMessage, error) {
	files, err := filepath.Glob(f.path(kind, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	all := []json.RawMessage{}
	for _, file := range files {
		stored, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, stored)
	}
	return all, nil
}

// Remove removes a resource.
func (f Folder) Remove(kind, name string) error {
	err := os.Remove(f.resource(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return NotFound{kind, name}
	}
	return err
}

// Create stores the resources of a YAML file one after the other, and says of each what happened. A token replaces one of
// its name without a question, as Teleport's does; a bot only with force.
func (f Folder) Create(text []byte, force bool) ([]string, error) {
	list, err := documents(text)
	if err != nil {
		return nil, err
	}
	if _, err := parse(list[0]); err != nil {
		return nil, err
	}
	if err := f.runHook(); err != nil {
		return nil, err
	}
	var done []string
	err = f.Locked(func() error {
		for _, document := range list {
			said, err := f.createOne(document, force)
			if err != nil {
				return err
			}
			done = append(done, said)
		}
		return nil
	})
	return done, err
}

func (f Folder) createOne(document []byte, force bool) (string, error) {
	resource, err := parse(document)
	if err != nil {
		return "", err
	}
	kind, name := resource.kindAndName()
	if _, err := f.Get(kind, name); err == nil && kind == KindBot && !force {
		return "", fmt.Errorf("bot %q already exists, and -f is not given", name)
	}
	resource.stamp(revision())
	if err := f.put(kind, name, resource); err != nil {
		return "", err
	}
	if kind == KindToken {
		kind = "provision_token"
	}
	return fmt.Sprintf("%s %q has been created", kind, name), nil
}

// put stores a resource, unless it is too large.
func (f Folder) put(kind, name string, resource any) error {
	item, err := compact(resource)
	if err != nil {
		return err
	}
	if len(item) > MaxItem {
		return fmt.Errorf("%s %q has %d bytes as JSON, more than the %d of an item", kind, name, len(item), MaxItem)
	}
	if err := os.MkdirAll(f.path(kind), 0o755); err != nil {
		return err
	}
	return WriteFile(f.resource(kind, name), item, 0o644)
}

// runHook runs the program `before-create`, in which a test does what another run would do at this time.
func (f Folder) runHook() error {
	hook := f.path("before-create")
	if _, err := os.Stat(hook); err != nil || os.Getenv(inHook) != "" {
		return nil
	}
	command := exec.Command(hook)
	command.Env = append(os.Environ(), inHook+"=1")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("before-create: %w: %s", err, output)
	}
	return nil
}

// compact is JSON as the backend stores it.
func compact(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

func revision() string { return strings.ToLower(rand.Text()) }

// WriteFile replaces a file in one step.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}
