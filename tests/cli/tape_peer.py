#!/usr/bin/env python3
"""Reads the tape of a finished record by other means than the program's: its lines are a chain, each step is told once and in
order, and the last line binds the files of the folder.

  tape_peer.py FOLDER      exit 1 with what is wrong, else the names that are bound
"""
import hashlib
import json
import pathlib
import sys


def check(folder):
    value, steps = bytes(32), [0]
    for number, line in enumerate((folder / "tape.jsonl").read_text().split("\n")[:-1], 1):
        event = json.loads(line)
        bare = line[:line.rindex(',"chain"')] + "}"
        value = hashlib.sha256(value + bare.encode()).digest()
        digits = 64 if event.get("event") in ("start", "end") else 16
        if event["chain"] != value.hex()[:digits]:
            sys.exit(f"line {number} is not chained to those before it")
        if number == 1 and event["tape_format"] != 2:
            sys.exit("tape_format is not 2")
        if "next_window" in event:
            steps.append(event["step"])
    if steps != list(range(len(steps))):
        sys.exit(f"steps are missing or told twice: {steps}")
    if event.get("event") != "end" or event["steps"] != steps[-1]:
        sys.exit("the last line does not close the run")
    files = event["files"] | event["may_be_left_out"]
    for name, sha256 in files.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256:
            sys.exit(f"{name} is not the file that is bound")
    print(*sorted(files))


if __name__ == "__main__":
    check(pathlib.Path(sys.argv[1]))
