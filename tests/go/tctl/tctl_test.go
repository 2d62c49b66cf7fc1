package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tbot_tpm.test/cluster"
)

// asTctl makes this program tctl.
const asTctl = "STAND_IN_TEST_IS_TCTL"

func TestMain(m *testing.M) {
	if os.Getenv(asTctl) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// said is what a call of tctl ended with.
type said struct {
	status         int // -1 where a signal ended it
	stdout, stderr string
}

// call calls tctl with VARIABLES and the words of a command line.
func call(t *testing.T, folder cluster.Folder, stdin, line string, variables ...string) said {
	t.Helper()
	command := exec.Command(os.Args[0], strings.Fields(line)...)
	command.Env = append(os.Environ(), asTctl+"=1", "STAND_IN_CLUSTER="+string(folder), "TELEPORT_TOOLS_VERSION=")
	command.Env = append(command.Env, variables...)
	command.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	command.Stderr = &stderr
	stdout, err := command.Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return said{command.ProcessState.ExitCode(), string(stdout), stderr.String()}
}

func succeed(t *testing.T, folder cluster.Folder, stdin, line string, variables ...string) string {
	t.Helper()
	done := call(t, folder, stdin, line, variables...)
	if done.status != 0 {
		t.Fatalf("%s: %+v", line, done)
	}
	return done.stdout
}

// beAwkward makes tctl awkward.
func beAwkward(t *testing.T, folder cluster.Folder, text string) {
	t.Helper()
	if err := setAwkward(folder, text); err != nil {
		t.Fatal(err)
	}
}

const (
	token = `{"kind": "token", "version": "v2", "metadata": {"name": "fleet"}, "spec": {"roles": ["Node"], "join_method": "tpm",
		"tpm": {"allow": [{"ek_public_hash": "aa"}]}}}`
	bot = `{"kind": "bot", "version": "v1", "metadata": {"name": "web"}, "spec": {"roles": ["access"]}}`
)

// withResources is a cluster with the token and the bot.
func withResources(t *testing.T) cluster.Folder {
	t.Helper()
	folder := cluster.Folder(t.TempDir())
	if made := succeed(t, folder, bot, "create"); made != "bot \"web\" has been created\n" {
		t.Errorf("%q", made)
	}
	succeed(t, folder, token, "create -f /dev/stdin")
	return folder
}

func TestResourcesAreListedByNameAndByKind(t *testing.T) {
	folder := withResources(t)
	for line, name := range map[string]string{
		"get token/fleet --format=json":                                "fleet",
		"get tokens --format json":                                     "fleet",
		"--auth-server=localhost:443 get bot/web --format=json":        "web",
		"get --format=json bots --auth-server localhost:443":           "web",
		"get --format=json bots --mfa-mode=browser -c /dev/null":       "web",
		"-i /dev/null --auth-server a:1 get token/fleet --format=json": "fleet",
	} {
		var list []struct{ Metadata cluster.Metadata }
		if err := json.Unmarshal([]byte(succeed(t, folder, "", line)), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Metadata.Name != name || list[0].Metadata.Revision == "" {
			t.Errorf("%s: %v", line, list)
		}
	}
	succeed(t, folder, "", "rm token/fleet")
	if list := succeed(t, folder, "", "get tokens --format=json"); list != "[]\n" {
		t.Errorf("%q", list)
	}
}

func TestWhatTctlDoesNotKnowIsRefused(t *testing.T) {
	folder := withResources(t)
	for line, because := range map[string]string{
		"":                                          "no command",
		"edit token/fleet":                          "unknown command",
		"get token/fleet":                           "--format=json only",
		"get token/fleet --format=yaml":             "--format=json only",
		"get token/ --format=json":                  "no resource",
		"get role/access --format=json":             "no resource",
		"get --format=json":                         "one resource",
		"get tokens --format=json --sparse":         "unknown flag",
		"create a b":                                "one file",
		"create /no/such/file":                      "no such file",
		"-i /no/such/file get tokens --format=json": "no such file",
		"rm tokens":                                 "cannot be removed",
		"rm bot_instance/web/aa":                    "cannot be removed",
		"bots update web":                           "nothing is to be updated",
		"bots rm web":                               "unknown command",
		"bots instances list a b":                   "unknown command",
		"lock":                                      "exactly one target",
		"lock --user a --join-token b":              "exactly one target",
		"lock --user a --ttl 1h --expires 2099-01-01T00:00:00Z": "positive --ttl or --expires",
		"lock --user a --expires soon":                          "soon",
		"rm locks/aa":                                           `lock "aa" not found`,
		"get bot_instance/web/aa --format=json":                 `bot instance "web/aa" not found`,
		"create":                                                "no resource in the file",
	} {
		done := call(t, folder, "", line)
		if done.status != 1 || done.stdout != "" || !strings.HasPrefix(done.stderr, "ERROR: ") {
			t.Errorf("%s: %+v", line, done)
		}
		if !strings.Contains(done.stderr, because) {
			t.Errorf("%s: %+v", line, done)
		}
	}
}

func TestBotsAreUpdated(t *testing.T) {
	folder := withResources(t)
	succeed(t, folder, "", "bots update web --add-roles=audit,editor --set-logins root")
	shown := succeed(t, folder, "", "get bot/web --format=json")
	for _, role := range []string{"access", "audit", "editor", "root", "bot-web"} {
		if !strings.Contains(shown, `"`+role+`"`) {
			t.Errorf("no %s in %s", role, shown)
		}
	}
}

func TestLocksAreMadeListedAndRemoved(t *testing.T) {
	folder := cluster.Folder(t.TempDir())
	made := succeed(t, folder, "", "lock --join-token fleet --message stolen --ttl 1h")
	name := regexp.MustCompile(`^Created a lock with name "([0-9a-f-]{36})"\.\n$`).FindStringSubmatch(made)
	if name == nil {
		t.Fatalf("%q", made)
	}
	var list []cluster.Lock
	if err := json.Unmarshal([]byte(succeed(t, folder, "", "get locks --format=json")), &list); err != nil {
		t.Fatal(err)
	}
	spec := list[0].Spec
	if list[0].Metadata.Name != name[1] || spec.Target.JoinToken != "fleet" || spec.Message != "stolen" {
		t.Errorf("%+v", list)
	}
	if left := time.Until(*spec.Expires); left > time.Hour || left < 50*time.Minute {
		t.Errorf("it ends in %s", left)
	}
	succeed(t, folder, "", "rm locks/"+name[1])
	if list := succeed(t, folder, "", "get locks --format=json"); list != "[]\n" {
		t.Errorf("%q", list)
	}
}

func TestBotInstancesAreListedInTheNewerAndTheOlderForm(t *testing.T) {
	folder := cluster.Folder(t.TempDir())
	id, err := folder.RecordJoin(cluster.Join{Bot: "web", Token: "fleet", EKPublicHash: "aa"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.RecordJoin(cluster.Join{Bot: "db", Token: "fleet", EKPublicHash: "bb"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	check := func(line string, amount int, inOlderForm bool) {
		t.Helper()
		var list []struct{ Status map[string]any }
		if err := json.Unmarshal([]byte(succeed(t, folder, "", line)), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != amount {
			t.Fatalf("%s: %v", line, list)
		}
		_, isText := list[0].Status["initial_authentication"].(map[string]any)["authenticated_at"].(string)
		if isText == inOlderForm {
			t.Errorf("%s: %v", line, list[0].Status)
		}
	}
	check("get bot_instance --format=json", 2, false)
	check("get bot_instance/web --format=json", 1, false)
	check("get bot_instance/web/"+id+" --format=json", 1, false)
	check("bots instances list --format=json", 2, true)
	check("bots instances list db --format=json", 1, true)
	beAwkward(t, folder, `{"old_times": true}`)
	check("get bot_instance/web --format=json", 1, true)
}

func TestNoiseComesBeforeTheOutput(t *testing.T) {
	folder := withResources(t)
	const get = "get token/fleet --format=json"
	plain := call(t, folder, "", get)
	const lastFrame = "\rUpdate progress: [▒▒▒] (Ctrl-C to cancel update)"
	for asked, expected := range map[string]struct{ before, stderr string }{
		`{"progress": "line"}`:      {lastFrame + "\n", ""},
		`{"progress": "same-line"}`: {lastFrame, ""},
		`{"deprecation": "stdout"}`: {"deprecated [update it]\n", ""},
		`{"deprecation": "stderr"}`: {"", "deprecated [update it]\n"},
		`{"logs": true}`:            {"", "not found\n"},
	} {
		beAwkward(t, folder, asked)
		noisy := call(t, folder, "", get)
		if noisy.status != 0 || noisy == plain {
			t.Errorf("%s: %+v", asked, noisy)
		}
		if !strings.HasSuffix(noisy.stdout, expected.before+plain.stdout) || !strings.HasSuffix(noisy.stderr, expected.stderr) {
			t.Errorf("%s: %+v", asked, noisy)
		}
	}
	beAwkward(t, folder, `{"progress": "line"}`)
	if quiet := call(t, folder, "", get, "TELEPORT_TOOLS_VERSION=off"); quiet != plain {
		t.Errorf("%+v", quiet)
	}
}

func TestMFAIsAskedForUnlessAnAutomationsIdentityIsUsed(t *testing.T) {
	folder := withResources(t)
	beAwkward(t, folder, `{"mfa": true}`)
	const refused = "ERROR: admin-level API request requires MFA verification\n"
	for _, line := range []string{
		"get token/fleet --format=json",
		"get tokens --format=json",
		"create -f /dev/stdin",
		"-i /dev/null get tokens --format=json",
		"get tokens --format=json --auth-server localhost:443",
	} {
		done := call(t, folder, strings.Replace(token, "fleet", "other", 1), line)
		if done.status != 1 || done.stdout != "" || !strings.HasSuffix(done.stderr, "\n"+refused) {
			t.Errorf("%s: %+v", line, done)
		}
	}
	if _, err := folder.Get(cluster.KindToken, "other"); err == nil {
		t.Error("the token was created all the same")
	}
	succeed(t, folder, "", "get bot/web --format=json")
	succeed(t, folder, "", "-i /dev/null --auth-server localhost:443 get tokens --format=json")
	succeed(t, folder, token, "create -f /dev/stdin -i /dev/null --auth-server localhost:443")
}

func TestAFailureDoesNothing(t *testing.T) {
	folder := withResources(t)
	for name, failure := range failures {
		beAwkward(t, folder, `{"fails": "`+name+`"}`)
		if done := call(t, folder, "", "rm token/fleet"); done != (said{failure.status, "", failure.text + "\n"}) {
			t.Errorf("%s: %+v", name, done)
		}
	}
	beAwkward(t, folder, "{}")
	succeed(t, folder, "", "get token/fleet --format=json")
}

func TestWhatIsMissingIsWordedAsAsked(t *testing.T) {
	folder := cluster.Folder(t.TempDir())
	for asked, wordings := range map[string][2]string{
		"{}":                     {"provisioning token(***et) not found", `user "bot-web" not found`},
		`{"not_found": "plain"}`: {`provision token "fleet" not found`, `bot "web" not found`},
	} {
		beAwkward(t, folder, asked)
		for i, resource := range []string{"token/fleet", "bot/web"} {
			expected := said{1, "", "ERROR: " + wordings[i] + "\n"}
			for _, line := range []string{"get " + resource + " --format=json", "rm " + resource} {
				if done := call(t, folder, "", line); done != expected {
					t.Errorf("%s: %+v", line, done)
				}
			}
		}
	}
}

func TestAnOutputIsCutInTheMiddle(t *testing.T) {
	folder := withResources(t)
	plain := succeed(t, folder, "", "get token/fleet --format=json")
	half := plain[:len(plain)/2]
	beAwkward(t, folder, `{"cut": "exit"}`)
	if done := call(t, folder, "", "get token/fleet --format=json"); done != (said{0, half, ""}) {
		t.Errorf("%+v", done)
	}
	beAwkward(t, folder, `{"cut": "signal"}`)
	if done := call(t, folder, "", "get token/fleet --format=json"); done != (said{-1, half, ""}) {
		t.Errorf("%+v", done)
	}
	if done := call(t, folder, "", "rm token/fleet"); done.status != -1 {
		t.Errorf("%+v", done)
	}
	if _, err := folder.Get(cluster.KindToken, "fleet"); err == nil {
		t.Error("it was cut before it had removed the token")
	}
}

func TestItIsAwkwardForSomeCommandsAndTheirFirstCalls(t *testing.T) {
	folder := withResources(t)
	beAwkward(t, folder, `{"fails": "access-denied", "commands": ["get", "create"], "calls": 2}`)
	for _, step := range []struct {
		line   string
		status int
	}{
		{"bots update web --add-roles audit", 0},
		{"get tokens --format=json", 1},
		{"create", 1},
		{"get tokens --format=json", 0},
		{"create", 0},
	} {
		if done := call(t, folder, token, step.line); done.status != step.status {
			t.Errorf("%s: %+v", step.line, done)
		}
	}
	beAwkward(t, folder, `{"fails": "access-denied", "calls": 1}`)
	if done := call(t, folder, "", "get tokens --format=json"); done.status != 1 {
		t.Errorf("asked anew: %+v", done)
	}
}

func TestItCanBeSlow(t *testing.T) {
	folder := withResources(t)
	beAwkward(t, folder, `{"seconds": 0.3}`)
	begun := time.Now()
	succeed(t, folder, "", "get tokens --format=json")
	if took := time.Since(begun); took < 300*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

func TestWhatIsAskedForIsCheckedStrictly(t *testing.T) {
	folder := withResources(t)
	for text, because := range map[string]string{
		"":                           "EOF",
		"[]":                         "cannot unmarshal",
		`{} {}`:                      "after the object",
		`{"mfas": true}`:             "unknown field",
		`{"commands": ["version"]}`:  "commands",
		`{"calls": -1}`:              "negative",
		`{"seconds": -0.5}`:          "negative",
		`{"progress": "yes"}`:        "progress",
		`{"deprecation": "nowhere"}`: "deprecation",
		`{"fails": "not-found"}`:     "fails",
		`{"not_found": "masked"}`:    "not_found",
		`{"cut": "half"}`:            "cut",
	} {
		if err := setAwkward(folder, text); err == nil || !strings.Contains(err.Error(), because) {
			t.Errorf("%s: %v", text, err)
		}
		if err := os.WriteFile(filepath.Join(string(folder), awkwardFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		done := call(t, folder, "", "get tokens --format=json")
		if done.status != 1 || done.stdout != "" || !strings.Contains(done.stderr, because) {
			t.Errorf("%s: %+v", text, done)
		}
	}
	if syscall.Access(filepath.Join(string(folder), awkwardCalls), 0) == nil {
		t.Error("a call was counted")
	}
}
