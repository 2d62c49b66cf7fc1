package main

import (
	"fmt"
	"os"
	"strconv"
)

// writePIDFile fails where this user cannot write the file. Whether tbot then stops or only warns is not verified, so a stand-in
// that stops is the stricter one. STAND_IN_PID_FILE=warn makes it a warning, for tests of other things.
func writePIDFile(path string) error {
	err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
	if err == nil {
		return nil
	}
	switch mode := os.Getenv("STAND_IN_PID_FILE"); mode {
	case "":
		return fmt.Errorf("writing the pid file: %w", err)
	case "warn":
		logLine("WARNING: writing the pid file: %v", err)
		return nil
	default:
		return fmt.Errorf("STAND_IN_PID_FILE must be warn or empty, not %q", mode)
	}
}
