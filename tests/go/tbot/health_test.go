package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func ask(h *health, path string) (int, string) {
	answer := httptest.NewRecorder()
	h.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer.Code, answer.Body.String()
}

// wanted is what /readyz answers.
type wanted struct {
	Status   string                   `json:"status"`
	PID      int                      `json:"pid"`
	Services map[string]serviceHealth `json:"services"`
}

func ready(t *testing.T, h *health) (int, wanted) {
	t.Helper()
	code, body := ask(h, "/readyz")
	var answer wanted
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return code, answer
}

func TestItIsReadyOnceEveryServiceIsHealthy(t *testing.T) {
	h := newHealth("web")
	code, answer := ready(t, h)
	if code != 503 || answer.Status != "unhealthy" || answer.PID != os.Getpid() || len(answer.Services) != 4 {
		t.Errorf("%d %+v", code, answer)
	}
	for _, name := range []string{"web", "identity", "heartbeat", "ca-rotation"} {
		if service := answer.Services[name]; service.Status != "initializing" || service.UpdatedAt != nil {
			t.Errorf("%s: %+v", name, service)
		}
		h.report(name, nil)
		code, answer = ready(t, h)
		if isLast := name == "ca-rotation"; (code == 200) != isLast || (answer.Status == "healthy") != isLast {
			t.Errorf("after %s: %d %+v", name, code, answer)
		}
	}
	h.report("web", errors.New("no room"))
	code, answer = ready(t, h)
	if code != 503 || answer.Services["web"].Reason != "no room" || answer.Services["web"].UpdatedAt == nil {
		t.Errorf("%d %+v", code, answer)
	}
	if code, _ := ask(h, "/livez"); code != 200 {
		t.Errorf("alive: %d", code)
	}
	if code, _ := ask(h, "/anything"); code != 404 {
		t.Errorf("anything else: %d", code)
	}
}

func TestOneServiceIsAnsweredForAlone(t *testing.T) {
	h := newHealth("unnamed.0.kubernetes/v2")
	h.report(identityService, nil)
	for path, wanted := range map[string]struct {
		code int
		body string
	}{
		"/readyz/identity":                {200, `"status":"healthy"`},
		"/readyz/heartbeat":               {503, `"status":"initializing"`},
		"/readyz/unnamed.0.kubernetes/v2": {503, `"status":"initializing"`},
		"/readyz/other":                   {404, `"error":`},
		"/wait/identity":                  {200, `"status":"healthy"`},
		"/wait/other":                     {404, `"error":`},
	} {
		if code, body := ask(h, path); code != wanted.code || !strings.Contains(body, wanted.body) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestWaitAnswersAfterTheFirstReport(t *testing.T) {
	h := newHealth()
	codes := make(chan int)
	for _, path := range []string{"/wait/identity", "/wait"} {
		go func() {
			code, _ := ask(h, path)
			codes <- code
		}()
	}
	h.report(identityService, errors.New("no rule"))
	if code := <-codes; code != 503 {
		t.Errorf("one service: %d", code)
	}
	select {
	case code := <-codes:
		t.Errorf("answered before all had reported: %d", code)
	case <-time.After(50 * time.Millisecond):
	}
	for _, name := range []string{identityService, heartbeatService, rotationService} {
		h.report(name, nil)
	}
	if code := <-codes; code != 200 {
		t.Errorf("all: %d", code)
	}
}
