package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
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
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *address == "" || flags.NArg() > 0 {
		return fmt.Errorf("stand-in-proxy needs --listen and nothing further\n%s", usage)
	}
	listener, err := listen(folder, *address)
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
	routes.HandleFunc("POST /stand-in/join", func(w http.ResponseWriter, r *http.Request) { join(folder, w, r) })
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
		"edition":            "community",
	})
}

// record is a line of the file `joins`.
type record struct {
	Time         time.Time `json:"time"`
	EKPublicHash string    `json:"ek_public_hash"`
	Token        string    `json:"token"`
	Accepted     bool      `json:"accepted"`
	Reason       string    `json:"reason"`
}

func join(folder cluster.Folder, w http.ResponseWriter, r *http.Request) {
	var request cluster.Request
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		cluster.Answer(w, http.StatusBadRequest, map[string]any{"reason": err.Error()})
		return
	}
	now := time.Now()
	refused := folder.Locked(func() error {
		refused := folder.Admit(request, now, os.Getenv("STAND_IN_ANY_BOT") != "")
		made := record{Time: now.UTC(), EKPublicHash: request.EKPublicHash, Token: request.Token, Accepted: refused == nil}
		if refused != nil {
			made.Reason = refused.Error()
		}
		line, err := json.Marshal(made)
		if err == nil {
			err = folder.Append("joins", string(line))
		}
		return errors.Join(refused, err)
	})
	if refused != nil {
		cluster.Answer(w, http.StatusForbidden, map[string]any{"reason": refused.Error()})
		return
	}
	cluster.Answer(w, http.StatusOK, map[string]any{})
}
