package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"tbot_tpm.test/cluster"
)

// session is one call of tctl.
type session struct {
	folder  cluster.Folder
	command string
	flags   globalFlags
	awkward awkward
	// What the command prints, which may be cut off.
	output bytes.Buffer
}

// globalFlags may stand before the command and after it.
type globalFlags struct {
	identity, authServer, config, mfaMode string
}

func (g *globalFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVarP(&g.identity, "identity", "i", g.identity, "an identity file")
	flags.StringVar(&g.authServer, "auth-server", g.authServer, "the address of the cluster")
	flags.StringVarP(&g.config, "config", "c", g.config, "a configuration file of Teleport")
	flags.StringVar(&g.mfaMode, "mfa-mode", g.mfaMode, "how a person answers; nobody is asked here")
}

// checkFiles fails where a file that was given cannot be read.
func (g *globalFlags) checkFiles() error {
	for _, path := range []string{g.identity, g.config} {
		if path == "" {
			continue
		}
		if _, err := os.ReadFile(path); err != nil {
			return err
		}
	}
	return nil
}

// withoutMFA tells whether an automation's identity is used, which needs both.
func (g *globalFlags) withoutMFA() bool { return g.identity != "" && g.authServer != "" }

func newSession(folder cluster.Folder) *session { return &session{folder: folder} }

// run runs a command line, and prints what it says as a whole or, if asked, in part.
func (it *session) run(arguments []string) error {
	flags := newFlags()
	flags.SetInterspersed(false)
	it.flags.addTo(flags)
	if err := flags.Parse(arguments); err != nil {
		return wrongUsage(err.Error())
	}
	arguments = flags.Args()
	if len(arguments) == 0 {
		return wrongUsage("no command")
	}
	command := commandOf(arguments[0])
	if command == nil {
		return wrongUsage(fmt.Sprintf("unknown command %q", arguments[0]))
	}
	it.command = arguments[0]
	flags = newFlags()
	it.flags.addTo(flags)
	err := command(it, flags, arguments[1:])
	if err == nil {
		return it.awkward.print(os.Stdout, it.output.Bytes())
	}
	_, printing := it.output.WriteTo(os.Stdout)
	if missing := (cluster.NotFound{}); errors.As(err, &missing) && it.awkward.NotFound == wordedPlain {
		err = errors.New(missing.Plain())
	}
	return errors.Join(err, printing)
}

// begin parses the rest of a command line, and then does all that tctl does before the command itself. It returns the arguments
// that are no flags.
func (it *session) begin(flags *pflag.FlagSet, arguments []string) ([]string, error) {
	if err := flags.Parse(arguments); err != nil {
		return nil, wrongUsage(err.Error())
	}
	if err := it.flags.checkFiles(); err != nil {
		return nil, err
	}
	var err error
	if it.awkward, err = takeAwkward(it.folder, it.command); err != nil {
		return nil, err
	}
	isAdmin := it.needsAdmin(flags.Args()) && !it.flags.withoutMFA()
	return flags.Args(), it.awkward.begin(os.Stdout, os.Stderr, isAdmin)
}

// needsAdmin tells whether a command is one for which a cluster may ask for MFA: it creates something, or reads tokens. Whether
// removing a token and locking are among them is not verified.
func (it *session) needsAdmin(arguments []string) bool {
	if it.command != "get" {
		return it.command == "create"
	}
	wanted, err := parseReference(arguments)
	return err == nil && wanted.kind == cluster.KindToken
}

func newFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("tctl", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

func wrongUsage(what string) error { return fmt.Errorf("%s\n%s", what, usage) }
