package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const tokenText = `kind: token
version: v2
metadata:
  name: fleet
  labels: {team: web}
spec:
  roles: [Bot]
  join_method: tpm
  bot_name: web
  tpm:
    allow:
      - description: web-1
        ek_public_hash: aa
`

const botText = `kind: bot
version: v1
metadata: {name: web}
spec:
  roles: [access]
  traits:
    - name: logins
      values: [root]
`

func create(t *testing.T, folder Folder, text string, force bool) {
	t.Helper()
	if _, err := folder.Create([]byte(text), force); err != nil {
		t.Fatal(err)
	}
}

func stored(t *testing.T, folder Folder, kind, name string) map[string]any {
	t.Helper()
	text, err := folder.Get(kind, name)
	if err != nil {
		t.Fatal(err)
	}
	var resource map[string]any
	if err := json.Unmarshal(text, &resource); err != nil {
		t.Fatal(err)
	}
	return resource
}

func TestATokenIsReplacedWithoutAQuestionAndGetsAnotherRevision(t *testing.T) {
	folder := Folder(t.TempDir())
	create(t, folder, tokenText, false)
	first := stored(t, folder, KindToken, "fleet")["metadata"].(map[string]any)
	create(t, folder, strings.Replace(tokenText, "web-1", "web-2", 1), false)
	second := stored(t, folder, KindToken, "fleet")["metadata"].(map[string]any)
	if first["revision"] == second["revision"] || first["revision"] == "" {
		t.Errorf("revisions %v and %v", first["revision"], second["revision"])
	}
	labels := second["labels"].(map[string]any)
	if labels["team"] != "web" || labels["teleport.dev/origin"] != "dynamic" {
		t.Errorf("labels %v", labels)
	}
}

func TestABotIsReplacedOnlyByForceAndHasAStatus(t *testing.T) {
	folder := Folder(t.TempDir())
	create(t, folder, botText, false)
	if _, err := folder.Create([]byte(botText), false); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a second time: %v", err)
	}
	create(t, folder, botText, true)
	status := stored(t, folder, KindBot, "web")["status"].(map[string]any)
	if status["user_name"] != "bot-web" {
		t.Errorf("status %v", status)
	}
}

func TestDocumentsAreStoredOneAfterTheOtherUntilOneIsRefused(t *testing.T) {
	folder := Folder(t.TempDir())
	text := "---\n" + botText + "---\n# nothing\n--- # the token\n" + tokenText + "---\nkind: role\n---\n" +
		strings.Replace(tokenText, "fleet", "after", 1)
	done, err := folder.Create([]byte(text), false)
	if err == nil || len(done) != 2 {
		t.Errorf("%q %v", done, err)
	}
	stored(t, folder, KindBot, "web")
	stored(t, folder, KindToken, "fleet")
	if _, err := folder.Get(KindToken, "after"); err != (NotFound{KindToken, "after"}) {
		t.Errorf("after the refused one: %v", err)
	}
}

func TestWhatTheClusterRefusesIsNotStored(t *testing.T) {
	token := func(old, new string) string {
		if !strings.Contains(tokenText, old) {
			t.Fatalf("%q is not in the token", old)
		}
		return strings.Replace(tokenText, old, new, 1)
	}
	key := "    ekcert_allowed_cas: ['-----BEGIN PUBLIC KEY-----\n\n    AAAA\n\n    -----END PUBLIC KEY-----']\n    allow:"
	refused := map[string]struct{ text, because string }{
		"nothing":            {"# nothing\n", "no resource"},
		"no mapping":         {"- kind: token\n", "cannot unmarshal"},
		"a key twice":        {tokenText + "kind: token\n", "already set"},
		"other kind":         {"kind: role\n", "role"},
		"unknown field":      {token("bot_name", "bot"), "unknown field"},
		"other case":         {token("bot_name", "Bot_Name"), "unknown field"},
		"unknown in a rule":  {token("ek_public_hash", "ek_hash"), "unknown field"},
		"a number":           {token("ek_public_hash: aa", "ek_public_hash: 12"), "cannot unmarshal"},
		"version":            {token("v2", "v1"), "must be v2"},
		"no name":            {token("name: fleet", "name: ''"), "metadata.name"},
		"no time":            {token("  labels:", "  expires: soon\n  labels:"), "soon"},
		"no roles":           {token("[Bot]", "[]"), "roles"},
		"unknown role":       {token("[Bot]", "[Bot, Robot]"), "Robot"},
		"a role twice":       {token("[Bot]", "[Bot, bot]"), "twice"},
		"no bot name":        {token("  bot_name: web\n", ""), "needed"},
		"bot name, no bot":   {token("[Bot]", "[Node]"), "only for"},
		"other method":       {token("join_method: tpm", "join_method: iam"), "iam"},
		"no rules":           {token("      - description: web-1\n        ek_public_hash: aa\n", "      []\n"), "allow"},
		"an empty rule":      {token("        ek_public_hash: aa\n", ""), "needs ek_public_hash"},
		"a serial alone":     {token("ek_public_hash: aa", "ek_certificate_serial: aa"), "ekcert_allowed_cas"},
		"no PEM text":        {token("    allow:", "    ekcert_allowed_cas: [/ca.pem]\n    allow:"), "no PEM block"},
		"no certificate":     {token("    allow:", key), "no PEM block of a certificate"},
		"too long":           {token("description: web-1", "description: "+strings.Repeat("a", MaxItem)), "bytes as JSON"},
		"a trait of no name": {strings.Replace(botText, "name: logins", "name: ''", 1), "traits"},
		"a long session":     {botText + "  max_session_ttl: 169h\n", "168h"},
		"no separator":       {botText + "--- more\n", "separator"},
		"a bot's version":    {strings.Replace(botText, "v1", "v2", 1), "must be v1"},
	}
	for name, wanted := range refused {
		folder := Folder(t.TempDir())
		_, err := folder.Create([]byte(wanted.text), true)
		if err == nil || !strings.Contains(err.Error(), wanted.because) {
			t.Errorf("%s: %v", name, err)
		}
		for _, kind := range []string{KindToken, KindBot} {
			if all, err := folder.All(kind); err != nil || len(all) > 0 {
				t.Errorf("%s: stored %s %v", name, all, err)
			}
		}
	}
}

func TestTheCaseOfRolesDoesNotMatterAndServersJoinWithoutABot(t *testing.T) {
	folder := Folder(t.TempDir())
	create(t, folder, strings.Replace(tokenText, "[Bot]", "[bOT]", 1), false)
	create(t, folder, strings.NewReplacer("[Bot]", "[node, Kube, Relay]", "  bot_name: web\n", "").Replace(tokenText), false)
}

func TestRemovingWhatIsNotThereIsAnError(t *testing.T) {
	folder := Folder(t.TempDir())
	create(t, folder, tokenText, false)
	if err := folder.Remove(KindToken, "fleet"); err != nil {
		t.Error(err)
	}
	if err := folder.Remove(KindToken, "fleet"); err == nil || err.Error() != "provisioning token(***et) not found" {
		t.Error(err)
	}
}

func TestANameStaysInItsFolder(t *testing.T) {
	folder := Folder(t.TempDir())
	create(t, folder, strings.Replace(tokenText, "name: fleet", "name: ../../fleet", 1), false)
	stored(t, folder, KindToken, "../../fleet")
	if files, err := os.ReadDir(filepath.Join(string(folder), KindToken)); err != nil || len(files) != 1 {
		t.Errorf("%v %v", files, err)
	}
}

func TestTheHookRunsOnceACallBeforeAnythingIsStored(t *testing.T) {
	folder := Folder(t.TempDir())
	hook := "#!/bin/sh\ncd '" + string(folder) + "' && echo ran >>hook && ls token 2>/dev/null >>hook; true\n"
	if err := os.WriteFile(folder.path("before-create"), []byte(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	create(t, folder, tokenText+"---\n"+strings.Replace(tokenText, "fleet", "other", 1), false)
	if ran, err := os.ReadFile(folder.path("hook")); string(ran) != "ran\n" || err != nil {
		t.Errorf("%q %v", ran, err)
	}
	if _, err := folder.Create([]byte("kind: role"), false); err == nil {
		t.Error("a role was taken")
	}
	if ran, _ := os.ReadFile(folder.path("hook")); string(ran) != "ran\n" {
		t.Errorf("ran although nothing was to be stored: %q", ran)
	}
}

func TestABotShowsNoDefaultsAndItsDurationInSeconds(t *testing.T) {
	folder := Folder(t.TempDir())
	create(t, folder, botText+"  max_session_ttl: 12h\n", false)
	if spec := stored(t, folder, KindBot, "web")["spec"].(map[string]any); spec["max_session_ttl"] != nil {
		t.Errorf("spec %v", spec)
	}
	create(t, folder, "kind: bot\nversion: v1\nmetadata: {name: bare}\nspec: {max_session_ttl: 90m}\n", false)
	spec := stored(t, folder, KindBot, "bare")["spec"].(map[string]any)
	if len(spec) != 1 || spec["max_session_ttl"] != "5400s" {
		t.Errorf("spec %v", spec)
	}
}

func TestABotIsUpdatedInPart(t *testing.T) {
	folder := Folder(t.TempDir())
	if err := folder.UpdateBot("web", BotUpdate{AddRoles: []string{"audit"}}); err != (NotFound{KindBot, "web"}) {
		t.Errorf("without the bot: %v", err)
	}
	create(t, folder, botText, false)
	before := stored(t, folder, KindBot, "web")["metadata"].(map[string]any)["revision"]
	for _, step := range []struct {
		update BotUpdate
		roles  string
		logins string
	}{
		{BotUpdate{AddRoles: []string{"audit", "access"}}, "[access audit]", "[root]"},
		{BotUpdate{SetLogins: []string{"deploy"}}, "[access audit]", "[deploy]"},
		{BotUpdate{SetRoles: []string{"editor"}}, "[editor]", "[deploy]"},
	} {
		if err := folder.UpdateBot("web", step.update); err != nil {
			t.Fatal(err)
		}
		bot := stored(t, folder, KindBot, "web")
		spec := bot["spec"].(map[string]any)
		logins := spec["traits"].([]any)[0].(map[string]any)["values"]
		if fmt.Sprint(spec["roles"]) != step.roles || fmt.Sprint(logins) != step.logins {
			t.Errorf("%+v: %v", step.update, spec)
		}
		if revision := bot["metadata"].(map[string]any)["revision"]; revision == before {
			t.Error("the revision stayed")
		}
	}
}

func TestWhatIsMissingIsWordedAsClustersDo(t *testing.T) {
	for missing, wordings := range map[NotFound][2]string{
		{KindToken, "test-hosts"}: {"provisioning token(*******sts) not found", `provision token "test-hosts" not found`},
		{KindToken, "a"}:          {"provisioning token(a) not found", `provision token "a" not found`},
		{KindBot, "web"}:          {`user "bot-web" not found`, `bot "web" not found`},
		{KindLock, "aa"}:          {`lock "aa" not found`, `lock "aa" not found`},
	} {
		if found := [2]string{missing.Error(), missing.Plain()}; found != wordings {
			t.Errorf("%q, but must be %q", found, wordings)
		}
	}
}
