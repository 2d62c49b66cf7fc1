package main

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"github.com/joshlf/go-acl"
)

// letRead sets the access list of the directory, or of a file in it, for the destination's readers. Without readers it sets
// none. Where that fails, `required` makes it an error, and `try`, which is the default, a warning.
func (d *destination) letRead(file *os.File, warnings *[]string) error {
	if len(d.Readers) == 0 || d.ACLs == "off" {
		return nil
	}
	err := d.setACL(file)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("readers of %s: %w", file.Name(), err)
	if d.ACLs == "required" {
		return err
	}
	*warnings = append(*warnings, err.Error())
	return nil
}

// setACL fails where another user owns the file, even if the kernel would let this process.
func (d *destination) setACL(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != os.Geteuid() {
		return fmt.Errorf("it belongs to the user %d, not to tbot's, %d", owner, os.Geteuid())
	}
	wanted, err := d.accessList(info.IsDir())
	if err != nil {
		return err
	}
	return acl.FSet(file, wanted)
}

// accessList is in the order that the kernel keeps (acl(5)).
func (d *destination) accessList(isDirectory bool) (acl.ACL, error) {
	read, all := os.FileMode(0o4), os.FileMode(0o6)
	if isDirectory {
		read, all = 0o5, 0o7
	}
	var users, groups acl.ACL
	for _, reader := range d.Readers {
		id, err := reader.id()
		if err != nil {
			return nil, err
		}
		if reader.User != "" {
			users = append(users, acl.Entry{Tag: acl.TagUser, Qualifier: id, Perms: read})
		} else {
			groups = append(groups, acl.Entry{Tag: acl.TagGroup, Qualifier: id, Perms: read})
		}
	}
	return slices.Concat(
		acl.ACL{{Tag: acl.TagUserObj, Perms: all}}, users,
		acl.ACL{{Tag: acl.TagGroupObj}}, groups,
		acl.ACL{{Tag: acl.TagMask, Perms: read}, {Tag: acl.TagOther}},
	), nil
}

// id is the number of the user or group, which may be given by it. Accounts are those of /etc/passwd and /etc/group only.
func (r reader) id() (string, error) {
	given := string(r.User + r.Group)
	if _, err := strconv.ParseUint(given, 10, 32); err == nil {
		return given, nil
	}
	if r.User != "" {
		found, err := user.Lookup(given)
		if err != nil {
			return "", err
		}
		return found.Uid, nil
	}
	found, err := user.LookupGroup(given)
	if err != nil {
		return "", err
	}
	return found.Gid, nil
}
