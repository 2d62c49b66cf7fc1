"""What fapolicyd does, by the kernel's own means: on one file system no program may be started, which a shell is told as EPERM."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from pathlib import Path

# fanotify(7)
_CLASS_CONTENT, _CLOEXEC, _NONBLOCK = 0x4, 0x1, 0x2
_MARK_ADD, _MARK_FILESYSTEM = 0x1, 0x100
_OPEN_EXEC_PERM = 0x40000
_DENY = 2
_AT_FDCWD = -100
_EVENT = struct.Struct("=IBBHQii")


class NoPolicy(Exception):
    """The kernel takes none; the text says why."""


class NothingIsExecuted:
    """It holds for the file system of that path, as long as the `with` block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> NothingIsExecuted:
        libc = ctypes.CDLL(None, use_errno=True)
        self.events = libc.fanotify_init(_CLASS_CONTENT | _CLOEXEC | _NONBLOCK, os.O_RDONLY)
        path = os.fsencode(self.path)
        flags, mask = _MARK_ADD | _MARK_FILESYSTEM, ctypes.c_uint64(_OPEN_EXEC_PERM)
        if self.events < 0 or libc.fanotify_mark(self.events, flags, mask, _AT_FDCWD, path) != 0:
            raise NoPolicy(f"fanotify: {os.strerror(ctypes.get_errno())}")
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self._deny)
        self.thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.ends.set()
        self.thread.join()
        os.close(self.events)

    def _deny(self) -> None:
        while not self.ends.wait(0.02):
            try:
                data = os.read(self.events, 4096)
            except BlockingIOError:
                continue
            for start in range(0, len(data), _EVENT.size):
                fd = _EVENT.unpack_from(data, start)[5]
                os.write(self.events, struct.pack("=iI", fd, _DENY))
                os.close(fd)
