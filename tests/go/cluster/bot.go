package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// defaultSessionTTL is left out of what a cluster shows.
	defaultSessionTTL = Duration(12 * time.Hour)
	maxSessionTTL     = Duration(168 * time.Hour)
)

// Bot is who a token of a bot names.
type Bot struct {
	Kind     string     `json:"kind"`
	Version  string     `json:"version"`
	Metadata Metadata   `json:"metadata"`
	Scope    string     `json:"scope,omitempty"`
	Spec     BotSpec    `json:"spec"`
	Status   *BotStatus `json:"status,omitempty"`
}

// BotSpec says what a bot may do.
type BotSpec struct {
	Roles         []string `json:"roles,omitempty"`
	Traits        []Trait  `json:"traits,omitempty"`
	MaxSessionTTL Duration `json:"max_session_ttl,omitempty"`
}

// Trait is a named list.
type Trait struct {
	Name   string   `json:"name"`
	Values []string `json:"values,omitempty"`
}

// BotStatus is the cluster's own.
type BotStatus struct {
	UserName string `json:"user_name"`
	RoleName string `json:"role_name"`
}

// Duration is written as protobuf's JSON has it, "123s", and read in every notation of Go. Which ones a cluster reads is not
// verified.
type Duration time.Duration

// MarshalJSON writes whole seconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(fmt.Sprintf("%ds", int64(time.Duration(d)/time.Second)))
}

// UnmarshalJSON refuses what is not a text.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var written string
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	read, err := time.ParseDuration(written)
	*d = Duration(read)
	return err
}

// UserOfBot is the user that a bot of that name has.
func UserOfBot(name string) string { return "bot-" + name }

// kindAndName has the scope before the name, as in an address.
func (b *Bot) kindAndName() (string, string) {
	if b.Scope != "" {
		return KindBot, b.Scope + "::" + b.Metadata.Name
	}
	return KindBot, b.Metadata.Name
}

func (b *Bot) stamp(revision string) {
	b.Metadata.Revision = revision
	user := UserOfBot(b.Metadata.Name)
	b.Status = &BotStatus{UserName: user, RoleName: user}
	if b.Spec.MaxSessionTTL == defaultSessionTTL {
		b.Spec.MaxSessionTTL = 0
	}
}

func (b *Bot) check() error {
	if err := checkHead(b.Version, "v1", b.Metadata); err != nil {
		return err
	}
	if b.Scope != "" && len(b.Spec.Roles) > 0 {
		return errors.New("roles: a bot in a scope has none of its own")
	}
	for i, role := range b.Spec.Roles {
		if role == "" {
			return fmt.Errorf("roles[%d]: is empty", i)
		}
	}
	for i, trait := range b.Spec.Traits {
		if trait.Name == "" {
			return fmt.Errorf("traits[%d]: needs a name", i)
		}
	}
	if ttl := b.Spec.MaxSessionTTL; ttl < 0 || ttl > maxSessionTTL {
		return errors.New("max_session_ttl: must be at most 168h")
	}
	return nil
}

// BotUpdate is what `tctl bots update` changes; nil is left as it is.
type BotUpdate struct {
	SetRoles, AddRoles, SetLogins []string
}

// UpdateBot changes a stored bot.
func (f Folder) UpdateBot(name string, update BotUpdate) error {
	return f.Locked(func() error {
		stored, err := f.Get(KindBot, name)
		if err != nil {
			return err
		}
		var bot Bot
		if err := json.Unmarshal(stored, &bot); err != nil {
			return err
		}
		update.apply(&bot.Spec)
		if err := bot.check(); err != nil {
			return fmt.Errorf("bot %q: %w", name, err)
		}
		bot.stamp(revision())
		return f.put(KindBot, name, &bot)
	})
}

func (u BotUpdate) apply(spec *BotSpec) {
	if u.SetRoles != nil {
		spec.Roles = u.SetRoles
	}
	for _, role := range u.AddRoles {
		if !slices.Contains(spec.Roles, role) {
			spec.Roles = append(spec.Roles, role)
		}
	}
	if u.SetLogins == nil {
		return
	}
	logins := Trait{Name: "logins", Values: u.SetLogins}
	at := slices.IndexFunc(spec.Traits, func(trait Trait) bool { return trait.Name == logins.Name })
	if at < 0 {
		spec.Traits = append(spec.Traits, logins)
	} else {
		spec.Traits[at] = logins
	}
}
