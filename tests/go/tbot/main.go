// Command tbot stands in for Teleport's tbot in tests: it reads its configuration and the host's TPM as strictly as tbot does,
// and joins at the stand-in for a cluster's proxy (`tctl stand-in-proxy`).
//
// It gets no credentials: its outputs' files hold a text that says so. It speaks plain HTTP.
package main

import (
	"fmt"
	"os"
	"strings"

	"tbot_tpm.test/version"
)

const usage = `This is a stand-in for tbot, for tests. It knows:
  tbot version
  tbot start -c CONFIG [--pid-file=PATH] [--diag-socket-for-updater=PATH]
  tbot tpm identify
The environment's STAND_IN_TCTI names a TPM in place of the machine's own, as swtpm:host=HOST,port=PORT.`

func main() {
	if err := run(os.Args[1:]); err != nil {
		logLine("ERROR: %v", err)
		os.Exit(1)
	}
}

func logLine(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "stand-in tbot: "+format+"\n", arguments...)
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 1 && arguments[0] == "version":
		fmt.Println(version.Line())
		return nil
	case len(arguments) == 2 && arguments[0] == "tpm" && arguments[1] == "identify":
		return identify()
	case len(arguments) > 0 && arguments[0] == "start":
		options, err := parseStart(arguments[1:])
		if err != nil {
			return err
		}
		return start(options)
	}
	return fmt.Errorf("unknown command %q\n%s", strings.Join(arguments, " "), usage)
}

type startOptions struct{ config, pidFile, diagSocket string }

// parseStart takes each flag as `--flag=VALUE` or `--flag VALUE`.
func parseStart(arguments []string) (startOptions, error) {
	var options startOptions
	for len(arguments) > 0 {
		flag, value, hasValue := strings.Cut(arguments[0], "=")
		arguments = arguments[1:]
		if !hasValue && len(arguments) > 0 {
			value, arguments, hasValue = arguments[0], arguments[1:], true
		}
		switch {
		case !hasValue || value == "":
			return options, fmt.Errorf("%q needs a value\n%s", flag, usage)
		case flag == "-c" || flag == "--config":
			options.config = value
		case flag == "--pid-file":
			options.pidFile = value
		case flag == "--diag-socket-for-updater":
			options.diagSocket = value
		default:
			return options, fmt.Errorf("unknown flag %q\n%s", flag, usage)
		}
	}
	if options.config == "" {
		return options, fmt.Errorf("the stand-in needs -c CONFIG\n%s", usage)
	}
	return options, nil
}
