package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
)

// parseListen reads tcp://host:port or unix:///path.
func parseListen(text string) (network, address string, err error) {
	if address, ok := strings.CutPrefix(text, "tcp://"); ok {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return "", "", fmt.Errorf("listen: %w", err)
		}
		return "tcp", address, nil
	}
	if path, ok := strings.CutPrefix(text, "unix://"); ok && strings.HasPrefix(path, "/") {
		return "unix", path, nil
	}
	return "", "", fmt.Errorf("listen: %q is not tcp://host:port or unix:///path", text)
}

// listeners are open sockets, by address. What connects is hung up on: the stand-in has no service to offer.
type listeners struct {
	mutex sync.Mutex
	open  map[string]net.Listener
}

// listen listens at an address, unless it does already.
func (l *listeners) listen(network, address string) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.open[address] != nil {
		return nil
	}
	listener, err := listen(network, address)
	if err != nil {
		return err
	}
	if l.open == nil {
		l.open = map[string]net.Listener{}
	}
	l.open[address] = listener
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connection.Close()
		}
	}()
	return nil
}

// close removes Unix sockets as well.
func (l *listeners) close() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, listener := range l.open {
		listener.Close()
	}
}

// listen also takes the place of a socket that a process which was killed left. Whether tbot does is not verified.
func listen(network, address string) (net.Listener, error) {
	if info, err := os.Lstat(address); network == "unix" && err == nil && info.Mode().Type() == fs.ModeSocket {
		if connection, err := net.Dial(network, address); err == nil {
			connection.Close()
			return nil, fmt.Errorf("listen %s: another process listens there", address)
		}
		if err := os.Remove(address); err != nil {
			return nil, err
		}
	}
	return net.Listen(network, address)
}
