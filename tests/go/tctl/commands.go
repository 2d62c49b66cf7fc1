package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tbot_tpm.test/cluster"
)

// reference names a resource or, without a name, all of a kind.
type reference struct{ kind, name string }

var kinds = map[string]string{
	"token": cluster.KindToken, "tokens": cluster.KindToken,
	"scoped_token": cluster.KindScopedToken, "scoped_tokens": cluster.KindScopedToken,
	"bot": cluster.KindBot, "bots": cluster.KindBot,
	"lock": cluster.KindLock, "locks": cluster.KindLock,
	"bot_instance": cluster.KindBotInstance,
}

func parseReference(arguments []string) (reference, error) {
	if len(arguments) != 1 {
		return reference{}, wrongUsage("one resource is needed")
	}
	kind, name, hasName := strings.Cut(arguments[0], "/")
	if kinds[kind] == "" || hasName && name == "" {
		return reference{}, wrongUsage(fmt.Sprintf("the stand-in knows no resource %q", arguments[0]))
	}
	return reference{kinds[kind], name}, nil
}

func get(it *session, flags *pflag.FlagSet, arguments []string) error {
	format := formatFlag(flags)
	arguments, err := it.begin(flags, arguments)
	if err != nil {
		return err
	}
	wanted, err := parseReference(arguments)
	if err != nil {
		return err
	}
	return it.list(*format, it.awkward.OldTimes, func() ([]json.RawMessage, error) { return stored(it.folder, wanted) })
}

func formatFlag(flags *pflag.FlagSet) *string { return flags.String("format", "text", "json") }

func stored(folder cluster.Folder, wanted reference) ([]json.RawMessage, error) {
	isBot := wanted.kind == cluster.KindBotInstance && !strings.Contains(wanted.name, "/")
	switch {
	case isBot:
		return folder.Instances(wanted.name)
	case wanted.name == "":
		return folder.All(wanted.kind)
	}
	one, err := folder.Get(wanted.kind, wanted.name)
	return []json.RawMessage{one}, err
}

// list prints resources as a JSON list; bot instances, if asked, in their older form.
func (it *session) list(format string, inOlderForm bool, read func() ([]json.RawMessage, error)) error {
	if format != "json" {
		return wrongUsage("the stand-in prints lists with --format=json only")
	}
	return it.folder.Locked(func() error {
		found, err := read()
		if err != nil {
			return err
		}
		for i, resource := range found {
			var head struct{ Kind string }
			if err := json.Unmarshal(resource, &head); err != nil {
				return err
			}
			if inOlderForm && head.Kind == cluster.KindBotInstance {
				if found[i], err = cluster.InOlderForm(resource); err != nil {
					return err
				}
			}
		}
		return it.printJSON(found)
	})
}

func (it *session) printJSON(list []json.RawMessage) error {
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "    "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(&it.output, indented.String())
	return err
}

func create(it *session, flags *pflag.FlagSet, arguments []string) error {
	force := flags.BoolP("force", "f", false, "replace what is there")
	files, err := it.begin(flags, arguments)
	if err != nil {
		return err
	}
	var text []byte
	switch len(files) {
	case 0:
		text, err = io.ReadAll(os.Stdin)
	case 1:
		text, err = os.ReadFile(files[0])
	default:
		err = wrongUsage("create takes one file")
	}
	if err != nil {
		return err
	}
	done, err := it.folder.Create(text, *force)
	for _, said := range done {
		fmt.Fprintln(&it.output, said)
	}
	return err
}

func remove(it *session, flags *pflag.FlagSet, arguments []string) error {
	arguments, err := it.begin(flags, arguments)
	if err != nil {
		return err
	}
	unwanted, err := parseReference(arguments)
	if err != nil {
		return err
	}
	if unwanted.name == "" || unwanted.kind == cluster.KindBotInstance {
		return wrongUsage(fmt.Sprintf("%q cannot be removed", arguments[0]))
	}
	err = it.folder.Locked(func() error { return it.folder.Remove(unwanted.kind, unwanted.name) })
	if err == nil {
		fmt.Fprintf(&it.output, "%s %q has been deleted\n", unwanted.kind, unwanted.name)
	}
	return err
}

func bots(it *session, flags *pflag.FlagSet, arguments []string) error {
	var update cluster.BotUpdate
	flags.StringSliceVar(&update.SetRoles, "set-roles", nil, "")
	flags.StringSliceVar(&update.AddRoles, "add-roles", nil, "")
	flags.StringSliceVar(&update.SetLogins, "set-logins", nil, "")
	format := formatFlag(flags)
	arguments, err := it.begin(flags, arguments)
	if err != nil {
		return err
	}
	switch {
	case len(arguments) == 2 && arguments[0] == "update":
		if update.SetRoles == nil && update.AddRoles == nil && update.SetLogins == nil {
			return wrongUsage("nothing is to be updated")
		}
		err := it.folder.UpdateBot(arguments[1], update)
		if err == nil {
			fmt.Fprintf(&it.output, "Bot %q has been updated\n", arguments[1])
		}
		return err
	case len(arguments) >= 2 && len(arguments) <= 3 && slices.Equal(arguments[:2], []string{"instances", "list"}):
		bot := strings.Join(arguments[2:], "")
		// It probably prints the older form in every version, which is not verified.
		return it.list(*format, true, func() ([]json.RawMessage, error) { return it.folder.Instances(bot) })
	}
	return wrongUsage("bots: unknown command")
}

func lock(it *session, flags *pflag.FlagSet, arguments []string) error {
	var spec cluster.LockSpec
	flags.StringVar(&spec.Target.BotInstanceID, "bot-instance-id", "", "")
	flags.StringVar(&spec.Target.JoinToken, "join-token", "", "")
	flags.StringVar(&spec.Target.User, "user", "", "")
	flags.StringVar(&spec.Message, "message", "", "")
	ttl := flags.Duration("ttl", 0, "")
	expires := flags.String("expires", "", "")
	arguments, err := it.begin(flags, arguments)
	if err != nil {
		return err
	}
	if len(arguments) > 0 || *ttl < 0 || *ttl > 0 && *expires != "" {
		return wrongUsage("lock takes one target, and a positive --ttl or --expires")
	}
	if spec.Expires, err = lockExpires(*ttl, *expires); err != nil {
		return err
	}
	name, err := it.folder.CreateLock(spec)
	if err == nil {
		fmt.Fprintf(&it.output, "Created a lock with name %q.\n", name)
	}
	return err
}

// lockExpires is when a lock ends; nil for one that lasts.
func lockExpires(ttl time.Duration, expires string) (*time.Time, error) {
	if ttl == 0 && expires == "" {
		return nil, nil
	}
	if expires == "" {
		end := time.Now().Add(ttl).UTC()
		return &end, nil
	}
	end, err := time.Parse(time.RFC3339, expires)
	return &end, err
}
