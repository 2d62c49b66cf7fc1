// Command tctl stands in for Teleport's tctl in tests, over a folder in place of a cluster (see package cluster).
//
// It knows what the usage says; `stand-in-proxy` serves what tests need of a cluster's proxy. It authenticates nobody. A test can
// make it as awkward as tctl may be (see awkward.go).
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"tbot_tpm.test/cluster"
	"tbot_tpm.test/version"
)

const usage = `This is a stand-in for tctl, for tests. It knows:
  tctl get RESOURCE --format=json, where RESOURCE is token/NAME, tokens, bot/NAME, bots, locks/NAME, locks,
    bot_instance/BOT/ID, bot_instance/BOT or bot_instance
  tctl create [-f] [FILE]
  tctl rm token/NAME | tctl rm bot/NAME | tctl rm locks/NAME
  tctl bots update NAME [--set-roles ROLES] [--add-roles ROLES] [--set-logins LOGINS]
  tctl bots instances list [BOT] --format=json
  tctl lock --bot-instance-id ID | --join-token NAME | --user bot-NAME [--message TEXT] [--ttl DURATION | --expires TIME]
  tctl version
  tctl stand-in-proxy --listen ADDRESS:PORT [--server-version VERSION] [--certificate private-ca|self-signed|intermediate]
    It answers plain HTTP and TLS on that one port; the certificate to trust is proxy-ca.pem in the folder.
  tctl stand-in-awkward JSON
    From now on tctl is as awkward as this says; the README has the fields.
Every command takes -i IDENTITY, --auth-server ADDRESS, -c CONFIG and --mfa-mode MODE.
The environment's STAND_IN_CLUSTER names the folder that stands in for the cluster.`

// command is one of tctl's.
type command func(it *session, flags *pflag.FlagSet, arguments []string) error

// commandOf is the command of that name; nil if the stand-in has none.
func commandOf(name string) command {
	return map[string]command{"get": get, "create": create, "rm": remove, "bots": bots, "lock": lock}[name]
}

// ended is the failure of a command whose last words do not begin with "ERROR: ", or that has another status than 1.
type ended struct {
	status int
	text   string
}

func (e ended) Error() string { return e.text }

func main() {
	err := run(os.Args[1:])
	if err == nil {
		return
	}
	if end := (ended{}); errors.As(err, &end) {
		fmt.Fprintln(os.Stderr, end.text)
		os.Exit(end.status)
	}
	fmt.Fprintf(os.Stderr, "ERROR: %v\n", err)
	os.Exit(1)
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
	if len(arguments) == 2 && arguments[0] == "stand-in-awkward" {
		return setAwkward(folder, arguments[1])
	}
	if err := folder.Append("commands", strings.Join(arguments, " ")); err != nil {
		return err
	}
	if text, isDown := folder.Down(); isDown {
		return ended{1, strings.TrimSuffix(text, "\n")}
	}
	return newSession(folder).run(arguments)
}
