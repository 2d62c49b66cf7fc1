package main

import (
	"fmt"
	"os"
	"strconv"
)

// writePIDFile fails where this user cannot write the file. Whether tbot then stops or only warns is not verified, so a stand-in
// that stops is the stricter one.
func writePIDFile(path string) error {
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing the pid file: %w", err)
	}
	return nil
}
