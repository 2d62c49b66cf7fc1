package cluster

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func record(t *testing.T, folder Folder, join Join, at time.Time) string {
	t.Helper()
	id, err := folder.RecordJoin(join, at)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// shown is a resource with the values that differ each time replaced.
func shown(t *testing.T, text json.RawMessage, id string) string {
	t.Helper()
	var resource struct{ Metadata Metadata }
	if err := json.Unmarshal(text, &resource); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(id, "ID", resource.Metadata.Revision, "REVISION").Replace(string(text))
}

const (
	joinMeta            = `"meta":{"join_token_name":"fleet","join_method":"tpm"}`
	firstAuthentication = `{"authenticated_at":"2026-11-24T12:00:00Z","generation":1,"join_attrs":{` +
		joinMeta + `,"tpm":{"ek_pub_hash":"aa"}}}`
	secondAuthentication = `{"authenticated_at":"2026-11-24T12:20:00.5Z","generation":2,"public_key":"AQI=","join_attrs":{` +
		joinMeta + `,"tpm":{"ek_pub_hash":"aa","ek_cert_serial":"0f:ff","ek_cert_verified":true}}}`
	firstHeartbeat  = `{"recorded_at":"2026-11-24T12:00:00Z","hostname":"web-1","is_startup":true}`
	secondHeartbeat = `{"recorded_at":"2026-11-24T12:30:00Z","version":"18.2.0","uptime":"1800s"}`
)

func TestAnInstanceHasTheNewestLastAndNoDefaultValues(t *testing.T) {
	folder := Folder(t.TempDir())
	id := record(t, folder, Join{Bot: "web", Token: "fleet", EKPublicHash: "aa"}, now)
	renewal := Join{
		Bot: "web", Token: "fleet", EKPublicHash: "aa", EKCertSerial: "0f:ff", EKCertVerified: true,
		PublicKey: []byte{1, 2}, Instance: id,
	}
	if same := record(t, folder, renewal, now.Add(20*time.Minute+500*time.Millisecond)); same != id {
		t.Errorf("%s became %s", id, same)
	}
	for _, err := range []error{
		folder.RecordHeartbeat("web", id, Heartbeat{RecordedAt: now, Hostname: "web-1", IsStartup: true}, nil),
		folder.RecordHeartbeat("web", id,
			Heartbeat{RecordedAt: now.Add(30 * time.Minute), Version: "18.2.0", Uptime: Duration(30 * time.Minute)},
			[]ServiceHealth{{ServiceID{"identity", "ssh"}, Unhealthy, "no route", now}, {ServiceID{"identity", "db"}, "", "", now}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	stored, err := folder.Get(KindBotInstance, "web/"+id)
	if err != nil {
		t.Fatal(err)
	}
	expected := `{"kind":"bot_instance","version":"v1",` +
		`"metadata":{"name":"ID","expires":"2026-11-25T12:20:00.5Z","revision":"REVISION"},` +
		`"spec":{"bot_name":"web","instance_id":"ID"},` +
		`"status":{"initial_authentication":` + firstAuthentication +
		`,"latest_authentications":[` + firstAuthentication + `,` + secondAuthentication +
		`],"initial_heartbeat":` + firstHeartbeat + `,"latest_heartbeats":[` + firstHeartbeat + `,` + secondHeartbeat +
		`],"service_health":[{"service":{"type":"identity","name":"ssh"},"status":"BOT_INSTANCE_HEALTH_STATUS_UNHEALTHY",` +
		`"reason":"no route","updated_at":"2026-11-24T12:00:00Z"},` +
		`{"service":{"type":"identity","name":"db"},"updated_at":"2026-11-24T12:00:00Z"}]}}`
	if found := shown(t, stored, id); found != expected {
		t.Errorf("%s\nbut must be\n%s", found, expected)
	}
}

func TestTheOlderFormHasSecondsAndNumbers(t *testing.T) {
	older, err := InOlderForm(json.RawMessage(`{"metadata":{"name":"status","expires":"2026-11-24T12:00:00.5Z"},"status":` +
		`{"latest_heartbeats":[` + secondHeartbeat + `],"service_health":[{"status":"BOT_INSTANCE_HEALTH_STATUS_HEALTHY"}]}}`))
	expected := `{"metadata":{"expires":{"seconds":1795521600,"nanos":500000000},"name":"status"},"status":{"latest_heartbeats":` +
		`[{"recorded_at":{"seconds":1795523400},"uptime":{"seconds":1800},"version":"18.2.0"}],"service_health":[{"status":2}]}}`
	if string(older) != expected || err != nil {
		t.Errorf("%s %v\nbut must be\n%s", older, err, expected)
	}
	if _, err := InOlderForm(json.RawMessage(`{"status":"BOT_INSTANCE_HEALTH_STATUS_FINE"}`)); err == nil {
		t.Error("an unknown health was taken")
	}
}

func TestAHostThatJoinsAnewIsAnotherInstance(t *testing.T) {
	folder := Folder(t.TempDir())
	join := Join{Bot: "web", Token: "fleet", EKPublicHash: "aa"}
	first, second := record(t, folder, join, now), record(t, folder, join, now)
	record(t, folder, Join{Bot: "web/two", Token: "fleet", EKPublicHash: "bb"}, now)
	if first == second {
		t.Errorf("both are %s", first)
	}
	for bot, amount := range map[string]int{"": 3, "web": 2, "web/two": 1, "db": 0} {
		if found, err := folder.Instances(bot); len(found) != amount || err != nil {
			t.Errorf("%q: %s %v", bot, found, err)
		}
	}
	join.Instance = "none"
	if _, err := folder.RecordJoin(join, now); err != (NotFound{KindBotInstance, "web/none"}) {
		t.Errorf("a renewal of nothing: %v", err)
	}
}

func TestALockKeepsItsTargetOutUntilItEnds(t *testing.T) {
	later := now.Add(time.Hour)
	for name, locked := range map[string]struct {
		spec                 LockSpec
		token, bot, instance string
		out                  bool
	}{
		"the token":            {LockSpec{Target: LockTarget{JoinToken: "fleet"}}, "fleet", "web", "", true},
		"another token":        {LockSpec{Target: LockTarget{JoinToken: "fleet"}}, "other", "fleet", "fleet", false},
		"the bot's user":       {LockSpec{Target: LockTarget{User: "bot-web"}}, "fleet", "web", "", true},
		"a user":               {LockSpec{Target: LockTarget{User: "web"}}, "web", "web", "web", false},
		"the instance":         {LockSpec{Target: LockTarget{BotInstanceID: "aa"}}, "fleet", "web", "aa", true},
		"it has joined anew":   {LockSpec{Target: LockTarget{BotInstanceID: "aa"}}, "fleet", "web", "", false},
		"not over":             {LockSpec{Target: LockTarget{JoinToken: "fleet"}, Expires: &later}, "fleet", "", "", true},
		"over":                 {LockSpec{Target: LockTarget{JoinToken: "fleet"}, Expires: &now}, "fleet", "", "", false},
		"the user of no agent": {LockSpec{Target: LockTarget{User: "bot-"}}, "fleet", "", "", false},
	} {
		folder := Folder(t.TempDir())
		locked.spec.Message = "stolen"
		id, err := folder.CreateLock(locked.spec)
		if err != nil {
			t.Fatal(err)
		}
		err = folder.LockedOut(locked.token, locked.bot, locked.instance, now)
		if (err != nil) != locked.out || err != nil && (!strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), "stolen")) {
			t.Errorf("%s: %v", name, err)
		}
		if err := folder.Remove(KindLock, id); err != nil {
			t.Error(err)
		}
		if err := folder.LockedOut(locked.token, locked.bot, locked.instance, now); err != nil {
			t.Errorf("%s: without the lock: %v", name, err)
		}
	}
	for _, target := range []LockTarget{{}, {User: "bot-web", JoinToken: "fleet"}} {
		if _, err := Folder(t.TempDir()).CreateLock(LockSpec{Target: target}); err == nil {
			t.Errorf("%+v was taken", target)
		}
	}
}
