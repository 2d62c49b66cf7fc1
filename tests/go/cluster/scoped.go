package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ScopedToken is a join token of a scope, for bots. What a cluster checks of it beyond a token's is not verified.
type ScopedToken struct {
	Kind     string          `json:"kind"`
	Version  string          `json:"version"`
	Metadata Metadata        `json:"metadata"`
	Scope    string          `json:"scope"`
	Spec     ScopedTokenSpec `json:"spec"`
}

// ScopedTokenSpec says who may join as which bot.
type ScopedTokenSpec struct {
	Roles      []string `json:"roles"`
	JoinMethod string   `json:"join_method"`
	UsageMode  string   `json:"usage_mode"`
	Bot        string   `json:"bot"`
	TPM        *TPMRule `json:"tpm"`
}

func (t *ScopedToken) kindAndName() (string, string) { return KindScopedToken, t.Metadata.Name }

func (t *ScopedToken) stamp(revision string) { t.Metadata.Revision = revision }

func (t *ScopedToken) check() error {
	if err := checkHead(t.Version, "v1", t.Metadata); err != nil {
		return err
	}
	switch {
	case !strings.HasPrefix(t.Scope, "/"):
		return fmt.Errorf("scope: %q is no scope", t.Scope)
	case strings.Contains(t.Metadata.Name, "::"):
		return errors.New("metadata.name: is without the scope")
	case !slices.Equal(t.Spec.Roles, []string{"Bot"}):
		return errors.New("roles: must be Bot alone")
	case t.Spec.JoinMethod != "tpm":
		return fmt.Errorf("the stand-in knows the join method tpm only, not %q", t.Spec.JoinMethod)
	case t.Spec.UsageMode != "bot":
		return fmt.Errorf("usage_mode: %q, but must be bot", t.Spec.UsageMode)
	case !strings.HasPrefix(t.Spec.Bot, t.Scope+"::"):
		return fmt.Errorf("bot: %q is not in the scope %s", t.Spec.Bot, t.Scope)
	case t.Spec.TPM == nil:
		return errors.New("tpm.allow: needs one rule at least")
	}
	return t.Spec.TPM.check()
}
