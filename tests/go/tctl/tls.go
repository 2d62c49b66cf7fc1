package main

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"path/filepath"
	"time"

	"tbot_tpm.test/cluster"
)

// caFile is where the cluster's folder has the certificate that clients are to trust.
const caFile = "proxy-ca.pem"

// firstByteTimeout ends a connection that stays silent.
const firstByteTimeout = 30 * time.Second

// handshake is the first byte of a TLS handshake record (RFC 8446, section 5.1). HTTP begins with a letter.
const handshake = 0x16

// listen listens on an address for TLS and for plain HTTP. What clients are to trust is in the folder when it returns. All
// certificates are new each time, and their keys are nowhere but in memory.
func listen(folder cluster.Folder, address, kind string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	certificate, trusted, err := newCertificate(kind, names(address, listener.Addr()))
	if err == nil {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted})
		err = cluster.WriteFile(filepath.Join(string(folder), caFile), text, 0o644)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return newEither(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}), nil
}

// names are those by which clients reach the proxy: as this machine, from a machine that QEMU runs here (10.0.2.2), and as the
// address that it was told to listen on says.
func names(address string, bound net.Addr) []string {
	all := []string{"localhost", "127.0.0.1", "::1", "10.0.2.2"}
	for _, listened := range []string{address, bound.String()} {
		if host, _, err := net.SplitHostPort(listened); err == nil && host != "" {
			all = append(all, host)
		}
	}
	return all
}

// either is a listener whose clients speak TLS or not, as each likes.
type either struct {
	net.Listener
	config   *tls.Config
	accepted chan accepted
	closed   chan struct{}
}

type accepted struct {
	connection net.Conn
	err        error
}

func newEither(listener net.Listener, config *tls.Config) *either {
	it := &either{listener, config, make(chan accepted), make(chan struct{})}
	go it.acceptAll()
	return it
}

// acceptAll looks at each connection on its own, so that a silent one does not hold up the others.
func (it *either) acceptAll() {
	for {
		connection, err := it.Listener.Accept()
		switch {
		case err == nil:
			go it.distinguish(connection)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			it.hand(accepted{err: err})
		}
	}
}

// distinguish hands on a connection once its first byte is there.
func (it *either) distinguish(connection net.Conn) {
	first := make([]byte, 1)
	err := connection.SetReadDeadline(time.Now().Add(firstByteTimeout))
	if err == nil {
		_, err = connection.Read(first)
	}
	if err != nil || connection.SetReadDeadline(time.Time{}) != nil {
		connection.Close()
		return
	}
	connection = &begun{Conn: connection, first: first}
	if first[0] == handshake {
		connection = tls.Server(connection, it.config)
	}
	it.hand(accepted{connection: connection})
}

func (it *either) hand(what accepted) {
	select {
	case it.accepted <- what:
	case <-it.closed:
		if what.connection != nil {
			what.connection.Close()
		}
	}
}

// Accept waits for the next connection that says something: a *tls.Conn, or a plain one.
func (it *either) Accept() (net.Conn, error) {
	select {
	case next := <-it.accepted:
		return next.connection, next.err
	case <-it.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the listener; it is called once, as net/http does.
func (it *either) Close() error {
	close(it.closed)
	return it.Listener.Close()
}

// begun is a connection of which the first byte was read already.
type begun struct {
	net.Conn
	first []byte
}

func (it *begun) Read(buffer []byte) (int, error) {
	if len(it.first) == 0 || len(buffer) == 0 {
		return it.Conn.Read(buffer)
	}
	n := copy(buffer, it.first)
	it.first = it.first[n:]
	return n, nil
}
