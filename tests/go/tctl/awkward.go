package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tbot_tpm.test/cluster"
)

// Files in the cluster's folder: what a test asks for, and a line for each call that was awkward.
const (
	awkwardFile  = "awkward"
	awkwardCalls = "awkward-calls"
)

// Values of awkward's fields.
const (
	// The progress has a line of its own, or the output follows on the same line. Which of them tctl does is not verified.
	progressLine     = "line"
	progressSameLine = "same-line"
	onStdout         = "stdout"
	onStderr         = "stderr"
	cutExit          = "exit"
	cutSignal        = "signal"
	// Names the missing resource in full, unlike what Teleport is known to say.
	wordedPlain = "plain"
)

// failures are what `fails` may be. All but two contain "not found" or "no such", and name a token, a bot or a user, but none says
// that a resource is missing. How the rest of "access denied" is worded is not verified.
var failures = map[string]ended{
	"access-denied": {1, "ERROR: access denied"},
	"host-uuid":     {1, "ERROR: open /var/lib/teleport/host_uuid: permission denied"},
	"lookup":        {1, "ERROR: dial tcp: lookup token-bot.example.com on 192.0.2.53:53: no such host"},
	"host":          {1, "ERROR: host token-bot.example.com not found"},
	"file":          {1, "ERROR: identity file /etc/token-bot/identity not found"},
	"command":       {127, "sh: 1: token-bot-helper: not found"},
	"user":          {1, `ERROR: user "token-bot" not found`},
}

// errMFA is what a cluster says that wants MFA.
var errMFA = errors.New("admin-level API request requires MFA verification")

// awkward is what a test asks of tctl, in the file of that name. What it leaves out is not done.
type awkward struct {
	// Commands are those that are awkward; none is all of them.
	Commands []string `json:"commands"`
	// Calls is how many of these commands' calls are awkward, from the first one; 0 is all.
	Calls int `json:"calls"`
	// Seconds is how long it waits before anything else.
	Seconds float64 `json:"seconds"`
	// Progress is that of an update, on stdout: "line" or "same-line". TELEPORT_TOOLS_VERSION=off keeps tctl from it.
	Progress string `json:"progress"`
	// Deprecation is where a warning goes: "stdout" or "stderr".
	Deprecation string `json:"deprecation"`
	// Logs go to stderr. One of them speaks of a token that was not found.
	Logs bool `json:"logs"`
	// MFA is asked for where tokens are read and where something is created.
	MFA bool `json:"mfa"`
	// Fails names one of the failures.
	Fails string `json:"fails"`
	// NotFound is how a missing resource is worded: "plain", or else as Teleport does.
	NotFound string `json:"not_found"`
	// Cut ends it in the middle of its output, after it did what it was told: with status 0 ("exit"), or by SIGKILL ("signal").
	Cut string `json:"cut"`
	// OldTimes prints bot instances as older versions of tctl do.
	OldTimes bool `json:"old_times"`
}

// setAwkward puts into the folder how awkward tctl is to be from now on.
func setAwkward(folder cluster.Folder, text string) error {
	if _, err := parseAwkward([]byte(text)); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(string(folder), awkwardCalls))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return cluster.WriteFile(filepath.Join(string(folder), awkwardFile), []byte(text), 0o644)
}

func parseAwkward(text []byte) (awkward, error) {
	var asked awkward
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&asked)
	if _, more := decoder.Token(); err == nil && more != io.EOF {
		err = errors.New("there is something after the object")
	}
	if err == nil {
		err = asked.check()
	}
	if err != nil {
		return awkward{}, fmt.Errorf("the stand-in's file %s: %w", awkwardFile, err)
	}
	return asked, nil
}

func (a awkward) check() error {
	for _, command := range a.Commands {
		if commandOf(command) == nil {
			return fmt.Errorf("commands: there is no %q", command)
		}
	}
	if a.Calls < 0 || a.Seconds < 0 {
		return errors.New("calls, seconds: cannot be negative")
	}
	if _, isKnown := failures[a.Fails]; a.Fails != "" && !isKnown {
		return fmt.Errorf("fails: there is no failure %q", a.Fails)
	}
	for name, field := range map[string]struct {
		value  string
		values []string
	}{
		"progress":    {a.Progress, []string{progressLine, progressSameLine}},
		"deprecation": {a.Deprecation, []string{onStdout, onStderr}},
		"not_found":   {a.NotFound, []string{wordedPlain}},
		"cut":         {a.Cut, []string{cutExit, cutSignal}},
	} {
		if field.value != "" && !slices.Contains(field.values, field.value) {
			return fmt.Errorf("%s: is %q, and not one of %s", name, field.value, strings.Join(field.values, ", "))
		}
	}
	return nil
}

// takeAwkward is how awkward this call is, and counts it.
func takeAwkward(folder cluster.Folder, command string) (awkward, error) {
	text, err := os.ReadFile(filepath.Join(string(folder), awkwardFile))
	if errors.Is(err, fs.ErrNotExist) {
		return awkward{}, nil
	}
	if err != nil {
		return awkward{}, err
	}
	asked, err := parseAwkward(text)
	if err != nil {
		return awkward{}, err
	}
	if len(asked.Commands) > 0 && !slices.Contains(asked.Commands, command) {
		return awkward{}, nil
	}
	isOver := false
	err = folder.Locked(func() error {
		calls, err := os.ReadFile(filepath.Join(string(folder), awkwardCalls))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if isOver = asked.Calls > 0 && bytes.Count(calls, []byte("\n")) >= asked.Calls; isOver {
			return nil
		}
		return folder.Append(awkwardCalls, command)
	})
	if err != nil || isOver {
		return awkward{}, err
	}
	return asked, nil
}

// begin does what comes before the command's own work. isAdmin says whether the cluster may ask for MFA.
func (a awkward) begin(stdout, stderr io.Writer, isAdmin bool) error {
	time.Sleep(time.Duration(a.Seconds * float64(time.Second)))
	if a.Progress != "" && os.Getenv("TELEPORT_TOOLS_VERSION") != "off" {
		for done := range 4 {
			bar := strings.Repeat("▒", done) + strings.Repeat(" ", 3-done)
			fmt.Fprintf(stdout, "\rUpdate progress: [%s] (Ctrl-C to cancel update)", bar)
		}
		if a.Progress == progressLine {
			fmt.Fprintln(stdout)
		}
	}
	if a.Deprecation != "" {
		to := map[string]io.Writer{onStdout: stdout, onStderr: stderr}[a.Deprecation]
		fmt.Fprintln(to, "WARNING: this version of tctl is deprecated [update it]")
	}
	if a.Logs {
		fmt.Fprintln(stderr, "2026-11-24T12:00:00.000Z INFO  connecting to the cluster")
		fmt.Fprintln(stderr, "2026-11-24T12:00:00.001Z WARN  cached token of user bot-admin not found")
	}
	if a.Fails != "" {
		return failures[a.Fails]
	}
	if a.MFA && isAdmin {
		// How the prompt is worded is not verified.
		fmt.Fprintln(stderr, "Tap your security key to answer the MFA prompt")
		return errMFA
	}
	return nil
}

// print prints what the command said, or the first half of it.
func (a awkward) print(stdout io.Writer, output []byte) error {
	if a.Cut != "" {
		output = output[:len(output)/2]
	}
	if _, err := stdout.Write(output); err != nil {
		return err
	}
	if a.Cut == cutSignal {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return nil
}
