package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"tbot_tpm.test/cluster"
)

// The services that tbot has of its own.
const (
	identityService  = "identity"
	heartbeatService = "heartbeat"
	rotationService  = "ca-rotation"
)

// health is what tbot tells of its services.
type health struct {
	mutex    sync.Mutex
	services map[string]serviceHealth
	changed  chan struct{} // closed at the next report
}

type serviceHealth struct {
	Status    string     `json:"status"`
	Reason    string     `json:"reason,omitempty"`
	UpdatedAt *time.Time `json:"updated_at,omitempty"` // none before the first report
}

const (
	initializing = "initializing" // not healthy yet
	healthy      = "healthy"
	unhealthy    = "unhealthy"
)

// newHealth is that of services which have not reported yet.
func newHealth(services ...string) *health {
	h := &health{services: map[string]serviceHealth{}, changed: make(chan struct{})}
	for _, name := range append(services, identityService, heartbeatService, rotationService) {
		h.services[name] = serviceHealth{Status: initializing}
	}
	return h
}

// report takes what came of a service's work.
func (h *health) report(name string, err error) {
	now := time.Now().UTC()
	service := serviceHealth{Status: healthy, UpdatedAt: &now}
	if err != nil {
		service.Status, service.Reason = unhealthy, err.Error()
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.services[name] = service
	close(h.changed)
	h.changed = make(chan struct{})
}

// now is the answer for one service, or for all where it has no name; whether each of them has reported; and what tells of the
// next report. Where there is no such service, it is an error's.
func (h *health) now(name string) (status int, answer map[string]any, reported bool, changed <-chan struct{}) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if name != "" {
		service, ok := h.services[name]
		if !ok {
			return http.StatusNotFound, map[string]any{"error": fmt.Sprintf("no service %q", name)}, true, nil
		}
		answer = map[string]any{"status": service.Status, "reason": service.Reason, "updated_at": service.UpdatedAt}
		return httpStatus(service.Status), answer, service.Status != initializing, h.changed
	}
	all := healthy
	reported = true
	services := map[string]serviceHealth{}
	for name, service := range h.services {
		services[name] = service
		reported = reported && service.Status != initializing
		if service.Status != healthy {
			all = unhealthy
		}
	}
	answer = map[string]any{"status": all, "services": services, "pid": os.Getpid()}
	return httpStatus(all), answer, reported, h.changed
}

func httpStatus(status string) int {
	if status == healthy {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// wait returns once each service that is asked for has reported, or when the client is gone.
func (h *health) wait(client context.Context, name string) {
	for {
		_, _, reported, changed := h.now(name)
		if reported {
			return
		}
		select {
		case <-changed:
		case <-client.Done():
			return
		}
	}
}

// serve answers at a TCP address or a Unix socket from now on.
func (h *health) serve(network, address string) error {
	listener, err := listen(network, address)
	if err != nil {
		return err
	}
	go func() {
		err := http.Serve(listener, h.handler())
		logLine("ERROR: diagnostics at %s: %v", address, err)
	}()
	return nil
}

// handler answers without authentication. That /wait has the status and body of /readyz is not verified.
func (h *health) handler() http.Handler {
	ready := func(w http.ResponseWriter, request *http.Request) {
		status, answer, _, _ := h.now(request.PathValue("service"))
		cluster.Answer(w, status, answer)
	}
	wait := func(w http.ResponseWriter, request *http.Request) {
		h.wait(request.Context(), request.PathValue("service"))
		ready(w, request)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		cluster.Answer(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	routes.HandleFunc("GET /readyz", ready)
	routes.HandleFunc("GET /readyz/{service...}", ready)
	routes.HandleFunc("GET /wait", wait)
	routes.HandleFunc("GET /wait/{service...}", wait)
	return routes
}

// serveAll starts the diagnostics that the configuration and the flags ask for.
func (h *health) serveAll(tcp, socket string) error {
	for network, address := range map[string]string{"tcp": tcp, "unix": socket} {
		if address == "" {
			continue
		}
		if err := h.serve(network, address); err != nil {
			return fmt.Errorf("diagnostics: %w", err)
		}
	}
	return nil
}
