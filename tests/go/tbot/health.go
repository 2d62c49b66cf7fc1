package main

import (
	"net"
	"net/http"
	"sync"

	"tbot_tpm.test/cluster"
)

// health is what diag_addr tells of the one service that the stand-in has.
type health struct {
	mutex   sync.Mutex
	service serviceHealth
}

type serviceHealth struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

const (
	healthy   = "healthy"
	unhealthy = "unhealthy"
)

func newHealth() *health {
	return &health{service: serviceHealth{unhealthy, "has not joined yet"}}
}

// set takes the outcome of a join.
func (h *health) set(err error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.service = serviceHealth{Status: healthy}
	if err != nil {
		h.service = serviceHealth{unhealthy, err.Error()}
	}
}

// serve answers at the address from now on.
func (h *health) serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		err := http.Serve(listener, h.handler())
		logLine("ERROR: diag_addr: %v", err)
	}()
	return nil
}

func (h *health) handler() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		cluster.Answer(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	routes.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		h.mutex.Lock()
		service := h.service
		h.mutex.Unlock()
		status := http.StatusOK
		if service.Status != healthy {
			status = http.StatusServiceUnavailable
		}
		cluster.Answer(w, status, map[string]any{
			"status":   service.Status,
			"services": map[string]serviceHealth{"identity": service},
		})
	})
	return routes
}
