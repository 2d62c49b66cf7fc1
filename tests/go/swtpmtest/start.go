// Package swtpmtest starts software TPMs for the tests of this module.
package swtpmtest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	portAttempts   = 20
	answerTimeout  = 30 * time.Second
	getCapability  = 1 // swtpm_ioctls(3)
	capabilitySize = 8
)

// Start starts a new TPM, which ends with the test, and gives its TCTI. Without swtpm the test is skipped.
func Start(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Skip("swtpm is not installed")
	}
	for range portAttempts {
		if port := freePort(t); start(t, port) {
			return fmt.Sprintf("swtpm:host=127.0.0.1,port=%d", port)
		}
	}
	t.Fatal("swtpm did not start")
	return ""
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// start is false where somebody else took the port meanwhile: swtpm ends then. It gets its control socket from here, so that an
// answer there is its own, and means that it has the port.
func start(t *testing.T, port int) bool {
	t.Helper()
	state := t.TempDir()
	path := filepath.Join(state, "control")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	control, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	command := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state,
		"--server", fmt.Sprintf("type=tcp,port=%d", port), "--ctrl", "type=unixio,fd=3", "--flags", "not-need-init,startup-clear")
	command.ExtraFiles = []*os.File{control}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // whatever it ended with
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended
		<-ended
		listener.Close()
	})
	return answers(path, ended)
}

// answers waits until swtpm answers on its control socket, or has ended.
func answers(path string, ended <-chan struct{}) bool {
	connection, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	defer connection.Close()
	go func() {
		select {
		case <-ended:
		case <-time.After(answerTimeout):
		}
		connection.Close()
	}()
	if err := binary.Write(connection, binary.BigEndian, uint32(getCapability)); err != nil {
		return false
	}
	_, err = io.ReadFull(connection, make([]byte, capabilitySize))
	return err == nil
}
