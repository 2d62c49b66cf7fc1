package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func ask(h *health, path string) (int, string) {
	answer := httptest.NewRecorder()
	h.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer.Code, answer.Body.String()
}

func TestItIsReadyOnceItHasJoinedAndAliveAlways(t *testing.T) {
	h := newHealth()
	if code, body := ask(h, "/readyz"); code != 503 || !strings.Contains(body, `"identity":{"status":"unhealthy"`) {
		t.Errorf("before: %d %s", code, body)
	}
	if code, _ := ask(h, "/livez"); code != 200 {
		t.Errorf("alive: %d", code)
	}
	h.set(nil)
	if code, body := ask(h, "/readyz"); code != 200 || strings.Contains(body, "unhealthy") {
		t.Errorf("joined: %d %s", code, body)
	}
	h.set(errors.New("no rule"))
	if code, body := ask(h, "/readyz"); code != 503 || !strings.Contains(body, "no rule") {
		t.Errorf("refused anew: %d %s", code, body)
	}
	if code, _ := ask(h, "/anything"); code != 404 {
		t.Errorf("anything else: %d", code)
	}
}
