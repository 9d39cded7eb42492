#!/usr/bin/env python3
"""Runs a command and kills it (SIGKILL) at a counted moment of its own work, so that no clock decides what a test sees.

  kill_after.py FOLDER FILE (begun|written) COUNT [--signal NAME CODE] [--said LOG TEXT] -- COMMAND...

FILE is one that the command replaces again and again in FOLDER by writing .FILE.*.train_gpt.tmp and renaming it. `begun 3` kills while
the third is being written, `written 3` once the third is in place. With --said counting starts when LOG, a file in FOLDER,
contains TEXT. With --signal another one is sent, and the command has to end with CODE by itself; what it says is let through.
Exit code 0 if the command was killed, 1 if it ended before. The kernel counts (inotify): nothing is missed
however fast the files follow each other.
"""
import ctypes
import os
import pathlib
import re
import select
import signal
import struct
import subprocess
import sys

IN_MOVED_TO, IN_CREATE = 0x80, 0x100
HEADER = struct.Struct("iIII")  # watch, mask, cookie, length of the name
TIMEOUT_MS = 100_000


def watch(folder):
    libc = ctypes.CDLL(None, use_errno=True)
    events = libc.inotify_init1(os.O_CLOEXEC)
    if events < 0 or libc.inotify_add_watch(events, str(folder).encode(), IN_MOVED_TO | IN_CREATE) < 0:
        sys.exit(f"kill_after: cannot watch \"{folder}\": {os.strerror(ctypes.get_errno())}")
    return events


def read_events(events):
    data = os.read(events, 1 << 16)
    while data:
        _, mask, _, length = HEADER.unpack_from(data)
        yield mask, data[HEADER.size:HEADER.size + length].rstrip(b"\0").decode()
        data = data[HEADER.size + length:]


def has_said(said, folder):
    path = folder / said[0]
    return path.exists() and said[1] in path.read_text(errors="replace")


def main():
    split = sys.argv.index("--")
    folder, name, moment, count, *rest = sys.argv[1:split]
    number, wanted_code = signal.SIGKILL, -signal.SIGKILL
    if rest and rest[0] == "--signal":
        number, wanted_code, rest = signal.Signals[rest[1]], int(rest[2]), rest[3:]
    folder, count, said = pathlib.Path(folder), int(count), rest[1:]
    pattern = re.escape(name)
    wanted_mask, wanted = {"begun": (IN_CREATE, re.compile(rf"\.{pattern}\..*\.train_gpt\.tmp")),
                           "written": (IN_MOVED_TO, re.compile(pattern))}[moment]
    folder.mkdir(parents=True, exist_ok=True)
    events = watch(folder)
    stderr = subprocess.DEVNULL if number == signal.SIGKILL else None
    process = subprocess.Popen(sys.argv[split + 1:], stdout=subprocess.DEVNULL, stderr=stderr)
    end = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(events, select.POLLIN)
    poll.register(end, select.POLLIN)
    seen = 0
    while seen < count:
        ready = [fd for fd, _ in poll.poll(TIMEOUT_MS)]
        if not ready or end in ready:  # hangs, or ended by itself
            break
        for mask, file in read_events(events):
            if mask & wanted_mask and wanted.fullmatch(file) and (seen > 0 or not said or has_said(said, folder)):
                seen += 1
    process.send_signal(number if seen >= count else signal.SIGKILL)
    code = process.wait()
    if seen < count or code != wanted_code:
        sys.exit(f"kill_after: exit code {code} after {seen} of {count} times that \"{name}\" was {moment}")


main()
