#!/usr/bin/env python3
"""Runs clang-tidy on the C++ files that differ from the last agreed state: all of them would take a quarter of an hour.

  tidy_changed.py BUILD_FOLDER [--since COMMIT] [--all] [--budget_s 300]

BUILD_FOLDER holds compile_commands.json. Without --since the state is, whichever comes first: where the branch left
origin/main or main, the last tag, the commit 20 before (or the oldest that a shallow clone has). A header stands for the
.cpp of its name, or else for the first file that includes it. Files changed last come first; what the budget leaves out is
named. Exit code 1 when clang-tidy finds something.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

RECENT_COMMITS = 20


def git(*arguments):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def find_base():
    head = git("rev-parse", "HEAD")
    for branch in ("origin/main", "main"):
        base = git("merge-base", "HEAD", branch)
        if base and base != head:
            return base, f"where this branch left {branch}"
    tag = git("describe", "--tags", "--abbrev=0", "HEAD^")
    if tag:
        return tag, f"tag {tag}"
    commits = git("rev-list", f"--max-count={RECENT_COMMITS + 1}", "--first-parent", "HEAD").split()
    if len(commits) < 2:  # all that there is
        return git("hash-object", "-t", "tree", "/dev/null"), "an empty tree: one commit is all there is"
    return commits[-1], f"{len(commits) - 1} commits ago"


def changed_files(base):
    names = git("diff", "--name-only", "--diff-filter=d", base).split("\n")
    names += git("ls-files", "--others", "--exclude-standard").split("\n")
    return [name for name in dict.fromkeys(names) if name.endswith((".cpp", ".h"))]


def compiled_files(build, root):
    entries = json.loads((build / "compile_commands.json").read_text())
    paths = {(pathlib.Path(e["directory"]) / e["file"]).resolve() for e in entries}
    own = [p for p in paths if p.is_relative_to(root) and not p.is_relative_to(build)]
    return sorted(str(p.relative_to(root)) for p in own if p.suffix == ".cpp")  # nvcc's commands are not clang's


def find_unit(name, units):
    """The compiled file that shows clang-tidy this one, or None."""
    if name in units:
        return name
    sibling = str(pathlib.Path(name).with_suffix(".cpp"))
    if sibling in units:
        return sibling
    line = f'#include "{name}"'
    return next((unit for unit in units if line in pathlib.Path(unit).read_text()), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--since")
    parser.add_argument("--all", action="store_true", help="every compiled file")
    parser.add_argument("--budget_s", type=float, default=300, help="no file is begun later than this")
    args = parser.parse_args()
    root = pathlib.Path(git("rev-parse", "--show-toplevel") or ".").resolve()
    os.chdir(root)
    build = args.build.resolve()
    units = compiled_files(build, root)
    if args.all:
        files, why = units, "all there are"
    else:
        base, why = (args.since, args.since) if args.since else find_base()
        files = changed_files(base)
    chosen = list(dict.fromkeys(unit for unit in (find_unit(name, units) for name in files) if unit))
    chosen.sort(key=lambda unit: -int(git("log", "-1", "--format=%ct", "--", unit) or time.time()))
    print(f"tidy: {len(chosen)} files for {len(files)} changed since {why}", flush=True)

    end = time.monotonic() + args.budget_s
    left_out = []

    def look_at(unit):
        if time.monotonic() > end:
            left_out.append(unit)
            return ""
        done = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), unit], capture_output=True, text=True)
        return done.stdout + done.stderr if done.returncode != 0 else ""

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for said in pool.map(look_at, chosen):
            failed += bool(said)
            print(said, end="", flush=True)
    if left_out:
        print(f"tidy: not looked at within {args.budget_s:.0f} s: {' '.join(sorted(left_out))}")
    print(f"tidy: {len(chosen) - len(left_out)} files, {failed} with findings")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
