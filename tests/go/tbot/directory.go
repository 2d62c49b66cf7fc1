package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// directory makes a destination's directory with mode 0700, and those above it, if they are missing and this user may. It opens
// it to see that it is one.
func (d *destination) directory() (*os.File, error) {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", d.Path, err)
	}
	return d.open(d.Path, unix.O_RDONLY|unix.O_DIRECTORY)
}

// open opens a path without symbolic links in any of its components, unless the destination allows them. `secure` fails where
// the kernel has no openat2; `try-secure`, which is the default, then opens it all the same.
func (d *destination) open(path string, flags int) (*os.File, error) {
	if d.Symlinks == "insecure" {
		return os.OpenFile(path, flags, 0o600)
	}
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_NO_SYMLINKS}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	descriptor, err := unix.Openat2(unix.AT_FDCWD, path, &how)
	switch {
	case err == nil:
		return os.NewFile(uintptr(descriptor), path), nil
	case errors.Is(err, unix.ENOSYS) && d.Symlinks != "secure":
		return os.OpenFile(path, flags, 0o600)
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("opening %s: a component is a symbolic link", path)
	}
	return nil, &os.PathError{Op: "openat2", Path: path, Err: err}
}

// write writes files in place, with a text that says whose they are, and lets the readers read them. Existing files and
// directories keep their mode. The texts are warnings.
func (d *destination) write(service string, files []string) (warnings []string, err error) {
	directory, err := d.directory()
	if err != nil {
		return nil, err
	}
	err = errors.Join(d.letRead(directory, &warnings), directory.Close())
	for _, name := range files {
		if err != nil {
			return warnings, err
		}
		err = d.writeFile(name, service, &warnings)
	}
	return warnings, err
}

func (d *destination) writeFile(name, service string, warnings *[]string) error {
	path := filepath.Join(d.Path, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := d.open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "A stand-in for tbot wrote this, for tests: %s of service %s. It is no credential.\n", name, service)
	return errors.Join(err, d.letRead(file, warnings), file.Close())
}
