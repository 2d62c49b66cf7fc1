package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"tbot_tpm.test/cluster"
)

// sessionLifetime is how long a TPM may take to solve its challenge: an emulated one on a busy machine makes RSA keys meanwhile.
const sessionLifetime = 5 * time.Minute

// joins serves the join ceremony. A host proves in a second message that it has the TPM of its first.
type joins struct {
	folder cluster.Folder

	mutex sync.Mutex
	begun map[string]begunAttempt
}

type begunAttempt struct {
	*cluster.Attempt
	at time.Time
}

func newJoins(folder cluster.Folder) *joins {
	return &joins{folder: folder, begun: map[string]begunAttempt{}}
}

// begin answers a cluster.Request with a cluster.Challenge.
func (j *joins) begin(w http.ResponseWriter, r *http.Request) {
	var request cluster.Request
	if !decode(w, r, &request) {
		return
	}
	now := time.Now()
	var challenge cluster.Challenge
	refused := j.folder.Locked(func() error {
		attempt, credential, err := j.folder.BeginJoin(request, now, os.Getenv("STAND_IN_ANY_BOT") != "")
		if err != nil {
			return errors.Join(err, j.record(attempt, now, err))
		}
		challenge = cluster.Challenge{Session: j.keep(attempt, now), Credential: credential}
		return nil
	})
	answer(w, refused, challenge)
}

// finish answers a cluster.Solution with nothing, once a session.
func (j *joins) finish(w http.ResponseWriter, r *http.Request) {
	var solution cluster.Solution
	if !decode(w, r, &solution) {
		return
	}
	now := time.Now()
	attempt := j.take(r.PathValue("session"), now)
	if attempt == nil {
		cluster.Answer(w, http.StatusNotFound, map[string]any{"reason": "unknown or expired session"})
		return
	}
	refused := j.folder.Locked(func() error {
		err := j.folder.FinishJoin(attempt, solution, now)
		return errors.Join(err, j.record(attempt, now, err))
	})
	answer(w, refused, struct{}{})
}

// keep remembers an attempt until it is finished, and forgets those that never were.
func (j *joins) keep(attempt *cluster.Attempt, now time.Time) string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	for session, begun := range j.begun {
		if now.Sub(begun.at) > sessionLifetime {
			delete(j.begun, session)
		}
	}
	session := rand.Text()
	j.begun[session] = begunAttempt{attempt, now}
	return session
}

// take is the attempt of a session, which cannot be taken again, or nil.
func (j *joins) take(session string, now time.Time) *cluster.Attempt {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	begun := j.begun[session]
	delete(j.begun, session)
	if now.Sub(begun.at) > sessionLifetime {
		return nil
	}
	return begun.Attempt
}

// record adds a line to the file `joins`.
func (j *joins) record(attempt *cluster.Attempt, now time.Time, refused error) error {
	line := struct {
		Time         time.Time `json:"time"`
		EKPublicHash string    `json:"ek_public_hash"`
		Token        string    `json:"token"`
		Accepted     bool      `json:"accepted"`
		Reason       string    `json:"reason"`
	}{now.UTC(), attempt.EKPublicHash, attempt.Token, refused == nil, ""}
	if refused != nil {
		line.Reason = refused.Error()
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	return j.folder.Append("joins", string(text))
}

// decode reads a message. Where it cannot, it answers and is false.
func decode(w http.ResponseWriter, r *http.Request, message any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(message); err != nil {
		cluster.Answer(w, http.StatusBadRequest, map[string]any{"reason": err.Error()})
		return false
	}
	return true
}

func answer(w http.ResponseWriter, refused error, body any) {
	if refused != nil {
		cluster.Answer(w, http.StatusForbidden, map[string]any{"reason": refused.Error()})
		return
	}
	cluster.Answer(w, http.StatusOK, body)
}
