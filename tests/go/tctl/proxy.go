package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"tbot_tpm.test/cluster"
	"tbot_tpm.test/version"
)

const (
	// No request is longer.
	maxRequest = 1 << 20
	// Where a proxy tells everyone what its cluster is.
	findPath = "/v1/webapi/find"
)

// proxy serves what tests need of a cluster's proxy, over plain HTTP and TLS, until it is ended. It says where it listens, for
// a port of 0.
func proxy(folder cluster.Folder, arguments []string) error {
	flags := flag.NewFlagSet("stand-in-proxy", flag.ContinueOnError)
	address := flags.String("listen", "", "ADDRESS:PORT")
	serverVersion := os.Getenv("STAND_IN_SERVER_VERSION")
	if serverVersion == "" {
		serverVersion = version.Version
	}
	flags.StringVar(&serverVersion, "server-version", serverVersion, "the cluster's version")
	certificate := flags.String("certificate", privateCA, strings.Join(certificateKinds, ", "))
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *address == "" || flags.NArg() > 0 {
		return fmt.Errorf("stand-in-proxy needs --listen and nothing further\n%s", usage)
	}
	listener, err := listen(folder, *address, *certificate)
	if err != nil {
		return err
	}
	fmt.Printf("stand-in for a cluster's proxy listens on %s\n", listener.Addr())
	return newServer(folder, serverVersion).Serve(listener)
}

func newServer(folder cluster.Folder, serverVersion string) *http.Server {
	return &http.Server{Handler: handler(folder, serverVersion), ReadTimeout: 30 * time.Second}
}

func handler(folder cluster.Folder, serverVersion string) http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+findPath, func(w http.ResponseWriter, _ *http.Request) { find(folder, serverVersion, w) })
	joins := newJoins(folder)
	routes.HandleFunc("POST /stand-in/join", joins.begin)
	routes.HandleFunc("POST /stand-in/join/{session}", joins.finish)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := note(folder, r); err != nil {
			cluster.Answer(w, http.StatusInternalServerError, map[string]any{"reason": err.Error()})
			return
		}
		if text, isDown := folder.Down(); isDown {
			cluster.Answer(w, http.StatusServiceUnavailable, map[string]any{"reason": text})
			return
		}
		routes.ServeHTTP(w, r)
	})
}

// question is a line of the file `finds`.
type question struct {
	Time time.Time `json:"time"`
	TLS  bool      `json:"tls"`
}

// note records a question for what the cluster is, whether it is down or not.
func note(folder cluster.Folder, r *http.Request) error {
	if r.URL.Path != findPath {
		return nil
	}
	line, err := json.Marshal(question{Time: time.Now().UTC(), TLS: r.TLS != nil})
	if err != nil {
		return err
	}
	return folder.Append("finds", string(line))
}

func find(folder cluster.Folder, serverVersion string, w http.ResponseWriter) {
	if text, isSet := folder.Find(); isSet {
		w.Header().Set("Content-Type", "application/json")
		// The other side may be gone, which is its own matter.
		_, _ = io.WriteString(w, text)
		return
	}
	cluster.Answer(w, http.StatusOK, map[string]any{
		"server_version":     serverVersion,
		"min_client_version": "16.0.0-aa",
		"cluster_name":       "stand-in",
		// Others have no join method tpm.
		"edition": "ent",
		// Always there, and here unset.
		"auto_update": map[string]any{
			"tools_version":               "",
			"tools_auto_update":           false,
			"agent_version":               "",
			"agent_auto_update":           false,
			"agent_update_jitter_seconds": 0,
		},
	})
}
