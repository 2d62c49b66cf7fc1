package main

import (
	"testing"
	"time"

	"tbot_tpm.test/cluster"
)

func TestASessionIsTakenOnceAndInTime(t *testing.T) {
	joins := newJoins(cluster.Folder(t.TempDir()))
	begun := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	attempt := &cluster.Attempt{}
	session := joins.keep(attempt, begun)
	if taken := joins.take(session, begun.Add(sessionLifetime)); taken != attempt {
		t.Error("not taken")
	}
	if joins.take(session, begun) != nil {
		t.Error("taken twice")
	}
	late := joins.keep(attempt, begun)
	if joins.take(late, begun.Add(sessionLifetime+time.Second)) != nil {
		t.Error("taken too late")
	}
	if joins.take("unknown", begun) != nil {
		t.Error("a session that never began")
	}
	for range 3 {
		joins.keep(attempt, begun)
	}
	joins.keep(attempt, begun.Add(sessionLifetime+time.Second))
	if len(joins.begun) != 1 {
		t.Errorf("%d sessions are kept", len(joins.begun))
	}
}
