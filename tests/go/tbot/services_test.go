package main

import (
	"strings"
	"testing"

	"tbot_tpm.test/version"
)

func withServices(t *testing.T, services string) string {
	t.Helper()
	return replaced(t, "services: []", "services: "+services)
}

// complete is one service of each type, with nothing but what it requires.
var complete = map[string]string{
	"identity":               "destination: {type: memory}",
	"ssh_host":               "destination: {type: memory}, principals: [a]",
	"application":            "destination: {type: memory}, app_name: a",
	"database":               "destination: {type: memory}, service: a",
	"kubernetes":             "destination: {type: memory}, kubernetes_cluster: a",
	"kubernetes/v2":          "destination: {type: memory}, selectors: [{name: a}, {labels: {b: c}}]",
	"kubernetes/argo-cd":     "selectors: [{name: a}]",
	"workload-identity-x509": "destination: {type: kubernetes_secret, name: a}, selector: {name: a}",
	"workload-identity-jwt":  "destination: {type: memory}, selector: {name: a}, audiences: [b]",
	"workload-identity-aws-roles-anywhere": "destination: {type: memory}, selector: {name: a}, " +
		"role_arn: b, profile_arn: c, trust_anchor_arn: d",
	"workload-identity-api": "listen: unix:///run/a, selector: {name: a}",
	"application-tunnel":    "listen: 'tcp://127.0.0.1:1', app_name: a",
	"application-proxy":     "listen: 'tcp://127.0.0.1:1'",
	"database-tunnel":       "listen: 'tcp://127.0.0.1:1', service: a, database: b, username: c",
	"ssh-multiplexer":       "destination: {type: directory, path: /a}",
	"identity/key-agent":    "destination: {type: directory, path: /a}",
	"example":               "unknown: 1",
	"spiffe-svid":           "unknown: 1",
	"spiffe-workload-api":   "unknown: 1",
}

func TestAServiceOfEachTypeIsTaken(t *testing.T) {
	for name := range serviceTypes {
		if _, ok := complete[name]; !ok {
			t.Errorf("no example of %s", name)
		}
	}
	for name, fields := range complete {
		accept(t, withServices(t, "[{type: "+name+", "+fields+"}]"))
	}
	accept(t, replaced(t, "services: []", "outputs: [{type: identity, destination: {type: memory}}]"))
}

func TestAServiceWithoutWhatItsTypeRequiresIsRefused(t *testing.T) {
	short := strings.NewReplacer(
		"MEMORY", "destination: {type: memory}",
		"READERS(", "destination: {type: directory, path: /a, readers: ", ")", "}",
	)
	for _, refused := range []struct{ service, because string }{
		{"sssh_host", "unknown service type"},
		{"Identity", "unknown service type"},
		{"identity", "destination is required"},
		{"ssh_host, MEMORY", "principals is required"},
		{"ssh_host, MEMORY, principals: []", "principals is required"},
		{"ssh_host, MEMORY, principals: a", "principals is required"},
		{"application, MEMORY, app_name: ''", "app_name is required"},
		{"database, MEMORY", "service is required"},
		{"kubernetes, MEMORY", "kubernetes_cluster is required"},
		{"kubernetes/v2, MEMORY", "selectors is required"},
		{"kubernetes/v2, MEMORY, selectors: [{}]", "exactly one of name and labels"},
		{"kubernetes/v2, MEMORY, selectors: [{name: a, labels: {b: c}}]", "exactly one of name and labels"},
		{"kubernetes/argo-cd", "selectors is required"},
		{"workload-identity-x509, MEMORY, selector: a", "selector is required"},
		{"workload-identity-jwt, MEMORY, selector: {name: a}", "audiences is required"},
		{"workload-identity-aws-roles-anywhere, MEMORY, selector: {name: a}, role_arn: a, profile_arn: b", "trust_anchor_arn is required"},
		{"workload-identity-api, selector: {name: a}", "listen"},
		{"workload-identity-api, selector: {name: a}, listen: /run/a.sock", "listen"},
		{"application-proxy, listen: 'tcp://127.0.0.1'", "listen"},
		{"application-proxy, listen: 'unix://a.sock'", "listen"},
		{"application-tunnel, listen: 'tcp://127.0.0.1:1'", "app_name is required"},
		{"database-tunnel, listen: 'tcp://127.0.0.1:1', service: a, database: b", "username is required"},
		{"ssh-multiplexer, MEMORY", "must be directory"},
		{"identity, ssh_config: no, MEMORY", "ssh_config"},
		{"identity, destination: {type: tmpfs}", "unknown destination type"},
		{"identity, destination: {type: directory}", "needs a path"},
		{"identity, destination: {type: kubernetes_secret}", "needs a name"},
		{"identity, READERS([{}])", "exactly one of user and group"},
		{"identity, READERS([{user: a, group: b}])", "exactly one of user and group"},
		{"identity, READERS([{user: [a]}])", "a name or a number"},
		{"identity, READERS([{user: {a: b}}])", "a name or a number"},
	} {
		refuse(t, withServices(t, "[{type: "+short.Replace(refused.service)+"}]"), refused.because)
	}
	refuse(t, withServices(t, "[{}]"), "unknown service type")
}

func TestNamesOfServices(t *testing.T) {
	service := func(name string) string { return "{type: identity, name: " + name + ", destination: {type: memory}}" }
	accept(t, withServices(t, "["+service("a-b_c+1")+", "+service("b")+", {type: example}, {type: example}]"))
	for name, because := range map[string]string{"A": "lower-case", "a.b": "lower-case", "identity": "reserved"} {
		refuse(t, withServices(t, "["+service(name)+"]"), because)
	}
	refuse(t, replaced(t, "services: []", "services: ["+service("a")+"]\noutputs: ["+service("a")+"]"), "used twice")
}

func TestLifetimesOfServices(t *testing.T) {
	of := func(kind, lifetime string) string {
		return withServices(t, "[{type: "+kind+", "+complete[kind]+", "+lifetime+"}]")
	}
	accept(t, of("identity", "credential_ttl: 2h, renewal_interval: 1h"))
	accept(t, of("workload-identity-x509", "credential_ttl: 48h, renewal_interval: 1h"))
	accept(t, of("identity", "credential_ttl: 1h, renewal_interval: 2h")+"oneshot: true\n")
	for lifetime, because := range map[string]string{
		"credential_ttl: 2h":                          "both are required",
		"renewal_interval: 2h":                        "both are required",
		"credential_ttl: 0s, renewal_interval: 1h":    "positive",
		"credential_ttl: 1h, renewal_interval: -1h":   "positive",
		"credential_ttl: 1h, renewal_interval: 2h":    "shorter",
		"credential_ttl: 25h, renewal_interval: 1h":   "longer",
		"credential_ttl: later, renewal_interval: 1h": "cannot unmarshal",
	} {
		refuse(t, of("identity", lifetime), because)
	}
	refuse(t, of("workload-identity-x509", "credential_ttl: 1h, renewal_interval: 2h"), "shorter")
}

func TestSessionsOfRolesAnywhereLast12HoursAtMost(t *testing.T) {
	of := func(duration string) string {
		const kind = "workload-identity-aws-roles-anywhere"
		return withServices(t, "[{type: "+kind+", "+complete[kind]+", session_duration: "+duration+"}]")
	}
	accept(t, of("12h"))
	refuse(t, of("12h1s"), "session_duration")
	refuse(t, of("long"), "session_duration")
}

func TestWhatANewerReleaseRefuses(t *testing.T) {
	defer func(before string) { version.Version = before }(version.Version)
	gone := map[string]string{
		"[{type: spiffe-svid}]":                                            "unknown service type",
		"[{type: spiffe-workload-api}]":                                    "unknown service type",
		"[{type: identity, destination: {type: memory}, roles: [access]}]": "roles",
	}
	for services, because := range gone {
		version.Version = "18.9.9"
		accept(t, withServices(t, services))
		version.Version = "19.0.0"
		refuse(t, withServices(t, services), because)
	}
	accept(t, withServices(t, "[{type: identity, destination: {type: memory}, roles: []}]"))
}
