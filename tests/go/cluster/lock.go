package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"uuid"
)

// Lock keeps its target out of the cluster.
type Lock struct {
	Kind     string   `json:"kind"`
	Version  string   `json:"version"`
	Metadata Metadata `json:"metadata"`
	Spec     LockSpec `json:"spec"`
}

// LockSpec says who is locked out, why, and until when: nil for as long as the lock is there.
type LockSpec struct {
	Target  LockTarget `json:"target"`
	Message string     `json:"message,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

// LockTarget is one of these.
type LockTarget struct {
	User          string `json:"user,omitempty"`
	BotInstanceID string `json:"bot_instance_id,omitempty"`
	JoinToken     string `json:"join_token,omitempty"`
}

// CreateLock stores a lock, whose name it returns. The target need not be there.
func (f Folder) CreateLock(spec LockSpec) (string, error) {
	targets := 0
	for _, target := range []string{spec.Target.User, spec.Target.BotInstanceID, spec.Target.JoinToken} {
		if target != "" {
			targets++
		}
	}
	if targets != 1 {
		return "", errors.New("the stand-in's locks have exactly one target")
	}
	name := uuid.NewV4().String()
	lock := Lock{KindLock, "v2", Metadata{Name: name, Revision: revision()}, spec}
	return name, f.Locked(func() error { return f.put(KindLock, name, lock) })
}

// LockedOut is an error where a lock keeps a join out: one on the token, on the bot's user, or on the instance. Bot and instance
// are empty where there is none: for agents, and for hosts that join anew.
func (f Folder) LockedOut(token, bot, instance string, now time.Time) error {
	all, err := f.All(KindLock)
	if err != nil {
		return err
	}
	for _, stored := range all {
		var lock Lock
		if err := json.Unmarshal(stored, &lock); err != nil {
			return err
		}
		if expires := lock.Spec.Expires; expires != nil && !now.Before(*expires) {
			continue
		}
		if lock.Spec.Target.hits(token, bot, instance) {
			return fmt.Errorf("lock %q is in force: %s", lock.Metadata.Name, lock.Spec.Message)
		}
	}
	return nil
}

func (t LockTarget) hits(token, bot, instance string) bool {
	return t.JoinToken != "" && t.JoinToken == token ||
		t.User != "" && bot != "" && t.User == UserOfBot(bot) ||
		t.BotInstanceID != "" && t.BotInstanceID == instance
}
