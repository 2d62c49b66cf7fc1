package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/joshlf/go-acl"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func write(t *testing.T, d destination, files ...string) []string {
	t.Helper()
	warnings, err := d.write("web", files)
	if err != nil {
		t.Fatal(err)
	}
	return warnings
}

func TestDirectoriesAndFilesThatAreMissingAreMadePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a/b")
	write(t, destination{Path: path}, "identity", "cockroach/ca.crt")
	for name, wanted := range map[string]fs.FileMode{
		"": 0o700, "..": 0o700, "identity": 0o600, "cockroach": 0o700, "cockroach/ca.crt": 0o600,
	} {
		if found := mode(t, filepath.Join(path, name)); found != wanted {
			t.Errorf("%s: %o", name, found)
		}
	}
	text, _ := os.ReadFile(filepath.Join(path, "identity"))
	if !strings.Contains(string(text), "stand-in") {
		t.Errorf("%s", text)
	}
}

func TestWhatExistsIsWrittenInPlaceAndKeepsItsMode(t *testing.T) {
	path := t.TempDir()
	file := filepath.Join(path, "identity")
	errs := errors.Join(os.Chmod(path, 0o755), os.WriteFile(file, make([]byte, 4096), 0o600), os.Chmod(file, 0o644))
	if errs != nil {
		t.Fatal(errs)
	}
	before, _ := os.Stat(file)
	write(t, destination{Path: path}, "identity")
	after, _ := os.Stat(file)
	if !os.SameFile(before, after) || after.Size() >= 4096 || mode(t, file) != 0o644 || mode(t, path) != 0o755 {
		t.Errorf("%+v", after)
	}
}

func TestSymbolicLinksAreFollowedOnlyWhereTheyAreAllowed(t *testing.T) {
	top := t.TempDir()
	if err := errors.Join(
		os.MkdirAll(filepath.Join(top, "real/sub"), 0o700),
		os.Symlink("real", filepath.Join(top, "link")),
		os.Symlink("identity", filepath.Join(top, "real/tlscert")),
	); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"link", "link/sub"} {
		for _, symlinks := range []string{"", "secure", "try-secure"} {
			d := destination{Path: filepath.Join(top, path), Symlinks: symlinks}
			if _, err := d.write("web", []string{"identity"}); err == nil || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("%s %s: %v", path, symlinks, err)
			}
		}
		write(t, destination{Path: filepath.Join(top, path), Symlinks: "insecure"}, "identity")
	}
	d := destination{Path: filepath.Join(top, "real")}
	if _, err := d.write("web", []string{"tlscert"}); err == nil {
		t.Error("a file that is a link was written to")
	}
}

func TestAPlaceThatCannotBeADirectoryIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + "/below"} {
		d := destination{Path: path}
		if _, err := d.write("web", []string{"identity"}); err == nil {
			t.Errorf("%s was written to", path)
		}
	}
}

func accessOf(t *testing.T, path string) string {
	t.Helper()
	found, err := acl.Get(path)
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, entry := range found {
		entries = append(entries, fmt.Sprintf("%s:%s:%o", entry.Tag.StringLong(), entry.Qualifier, entry.Perms))
	}
	slices.Sort(entries)
	return strings.Join(entries, " ")
}

func TestReadersGetAnAccessListThatIsCorrectedAtEachWrite(t *testing.T) {
	path := t.TempDir()
	file := filepath.Join(path, "identity")
	d := destination{Path: path, ACLs: "required", Readers: []reader{{User: "4242"}, {Group: "root"}}}
	for range 2 {
		write(t, d, "identity")
		if found := accessOf(t, path); found != "group:0:5 group::0 mask::5 other::0 user:4242:5 user::7" {
			t.Errorf("directory: %s", found)
		}
		if found := accessOf(t, file); found != "group:0:4 group::0 mask::4 other::0 user:4242:4 user::6" {
			t.Errorf("file: %s", found)
		}
		// What cuts readers off, or lets others in.
		if err := errors.Join(os.Chmod(path, 0o700), os.Chmod(file, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutReadersThereIsNoAccessList(t *testing.T) {
	for _, d := range []destination{{ACLs: "required"}, {ACLs: "off", Readers: []reader{{User: "4242"}}}} {
		d.Path = t.TempDir()
		write(t, d, "identity")
		if found := accessOf(t, filepath.Join(d.Path, "identity")); found != "group::0 other::0 user::6" {
			t.Errorf("%s", found)
		}
	}
}

func TestAReaderWhoIsUnknownIsAWarningUnlessTheListIsRequired(t *testing.T) {
	d := destination{Path: t.TempDir(), Readers: []reader{{User: "no-such-user"}}}
	if warnings := write(t, d, "identity"); len(warnings) != 2 || !strings.Contains(warnings[0], "no-such-user") {
		t.Errorf("%q", warnings)
	}
	d.ACLs = "required"
	if _, err := d.write("web", nil); err == nil {
		t.Error("taken")
	}
}

func TestADirectoryOfAnotherUserHasNoReaders(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a directory another user's")
	}
	d := destination{Path: t.TempDir(), Readers: []reader{{User: "4242"}}, ACLs: "required"}
	if err := os.Chown(d.Path, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	if _, err := d.write("web", nil); err == nil || !strings.Contains(err.Error(), "belongs to the user 4242") {
		t.Errorf("%v", err)
	}
}
