package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tbot_tpm.test/cluster"
)

// start serves an empty cluster until the test ends; it is the folder and HOST:PORT.
func start(t *testing.T) (cluster.Folder, string) {
	t.Helper()
	folder := cluster.Folder(t.TempDir())
	return folder, serveOver(t, folder, privateCA)
}

func serveOver(t *testing.T, folder cluster.Folder, kind string) string {
	t.Helper()
	listener, err := listen(folder, "127.0.0.1:0", kind)
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(folder, "18.2.3")
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// trusting is a client that trusts the CA in the folder, and no other.
func trusting(t *testing.T, folder cluster.Folder) *http.Client {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(string(folder), caFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatalf("%s has no certificate: %s", caFile, text)
	}
	return client(t, &tls.Config{RootCAs: roots})
}

func client(t *testing.T, config *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func ask(t *testing.T, client *http.Client, url string) (string, *tls.ConnectionState) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), response.TLS
}

func TestOnePortAnswersPlainHTTPAndTLS(t *testing.T) {
	folder, address := start(t)
	for _, scheme := range []string{"http", "https", "http", "https"} {
		body, state := ask(t, trusting(t, folder), scheme+"://"+address+"/v1/webapi/find")
		if !strings.Contains(body, `"server_version":"18.2.3"`) || (state != nil) != (scheme == "https") {
			t.Errorf("%s: %s", scheme, body)
		}
	}
}

func TestAClientThatDoesNotTrustThisCAIsNotAnswered(t *testing.T) {
	folder, address := start(t)
	before := trusting(t, folder)
	other := serveOver(t, folder, privateCA) // as after a restart: with another CA
	for name, client := range map[string]*http.Client{
		"no CA":              client(t, &tls.Config{RootCAs: x509.NewCertPool()}),
		"the one before":     before,
		"the system's roots": client(t, nil),
	} {
		_, err := client.Get("https://" + other + "/v1/webapi/find")
		if !errors.As(err, new(x509.UnknownAuthorityError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ask(t, before, "https://"+address+"/v1/webapi/find")
	ask(t, trusting(t, folder), "https://"+other+"/v1/webapi/find")
}

func TestAConnectionThatIsSilentHoldsUpNobodyAndMaySpeakLater(t *testing.T) {
	folder, address := start(t)
	for _, scheme := range []string{"http", "https"} {
		silent, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		late := trusting(t, folder).Transport.(*http.Transport)
		late.DialContext = func(context.Context, string, string) (net.Conn, error) { return silent, nil }
		ask(t, trusting(t, folder), "http://"+address+"/v1/webapi/find")
		ask(t, trusting(t, folder), "https://"+address+"/v1/webapi/find")
		// It was not given up to let the others in.
		ask(t, &http.Client{Transport: late}, scheme+"://"+address+"/v1/webapi/find")
	}
}

func TestAHandshakeThatStopsHoldsUpNobody(t *testing.T) {
	folder, address := start(t)
	for range 3 {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		if _, err := io.WriteString(connection, "\x16\x03"); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, trusting(t, folder), "https://"+address+"/v1/webapi/find")
}

func TestAListenerThatIsClosedAcceptsNothing(t *testing.T) {
	listener, err := listen(cluster.Folder(t.TempDir()), "127.0.0.1:0", privateCA)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := listener.Accept()
		ended <- err
	}()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
