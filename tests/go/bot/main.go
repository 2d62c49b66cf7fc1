// Command bot stands in for tbot in a service: it is written in the same language, and tells what it was started
// with, and what the service lets it do.
//
// It writes its pid file as tbot does, then a report as JSON to /var/lib/teleport/bot/report, and waits. Its
// configuration is JSON too: {"try_to_write": ["/a/directory"]}.
package main

import (
	"encoding/json"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const report = "/var/lib/teleport/bot/report"

func main() {
	seen := map[string]any{
		"arguments": os.Args,
		"user":      os.Getuid(),
		"group":     os.Getgid(),
		"telemetry": os.Getenv("TELEPORT_ANONYMOUS_TELEMETRY"),
		"status":    status("Groups", "NoNewPrivs", "CapBnd", "Seccomp", "Umask"),
		"tries":     tries(),
	}
	text, err := json.Marshal(seen)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(report+".new", text, 0o644); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(report+".new", report); err != nil {
		log.Fatal(err)
	}
	for {
		syscall.Pause()
	}
}

// status is what the kernel says of this process (proc(5)).
func status(names ...string) map[string]string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		log.Fatal(err)
	}
	found := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		for _, wanted := range names {
			if name == wanted {
				found[name] = strings.TrimSpace(value)
			}
		}
	}
	return found
}

// tries is what comes of each try: an error's text, or nothing.
func tries() map[string]string {
	outcome := map[string]string{}
	try := func(name string, err error) {
		if err != nil {
			outcome[name] = err.Error()
		} else {
			outcome[name] = ""
		}
	}
	for _, directory := range append(configured(), "/tmp", "/etc") {
		try("write "+directory, os.WriteFile(filepath.Join(directory, "written"), nil, 0o600))
	}
	for _, argument := range os.Args {
		if path, ok := strings.CutPrefix(argument, "--pid-file="); ok {
			try("pid file", os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o644))
		}
		if path, ok := strings.CutPrefix(argument, "--diag-socket-for-updater="); ok {
			_, err := net.Listen("unix", path)
			try("the updater's socket", err)
		}
	}
	try("null device", os.WriteFile("/dev/null", []byte("x"), 0o600))
	_, err := os.Stat("/proc/1")
	try("see root's processes", err)
	_, err = net.Interfaces()
	try("list interfaces", err)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	try("listen", err)
	if err == nil {
		connection, err := net.Dial("tcp", tcp.Addr().String())
		try("connect", err)
		if err == nil {
			connection.Close()
		}
	}
	_, err = net.Listen("unix", filepath.Join(filepath.Dir(report), "socket-"+strconv.Itoa(os.Getpid())))
	try("listen at a Unix socket", err)
	try("run a program", exec.Command("/bin/true").Run())
	_, err = syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	try("raw packets", err)
	_, err = syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	try("writable code", err)
	try("nice", syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5))
	own := filepath.Join(filepath.Dir(report), "program")
	try("a file of its own", os.WriteFile(own, nil, 0o600))
	try("set-user-id", os.Chmod(own, 0o755|os.ModeSetuid))
	unshared := exec.Command("/bin/true")
	unshared.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	try("a namespace", unshared.Run())
	return outcome
}

func configured() []string {
	var config struct {
		TryToWrite []string `json:"try_to_write"`
	}
	for i, argument := range os.Args {
		if argument == "-c" && i+1 < len(os.Args) {
			text, err := os.ReadFile(os.Args[i+1])
			if err != nil {
				log.Fatal(err)
			}
			if err := json.Unmarshal(text, &config); err != nil {
				log.Fatal(err)
			}
		}
	}
	return config.TryToWrite
}
