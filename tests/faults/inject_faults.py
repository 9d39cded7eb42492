#!/usr/bin/env python3
"""Lets one call of a command into the system fail at a time and looks at what is left.

  inject_faults.py PROGRAM SHIM [--all] [--seed N] [--jobs N] [--only COMMAND[:KIND]] [--points N]

SHIM is the library of fault_shim.cpp. A point is the n-th call of one kind (open, read, write, fsync, rename, close, mkdir,
mmap, thread, memory) of a command (run, tokenize, pack, encode). --all tries every point that a command reaches; else --points
of them are drawn, the same number of each kind of each command. At every point
  - the command succeeds with the bytes of an undisturbed one, or fails with an exit code below 128 and a last line on stderr
    that is ours and names the file, where it was a file;
  - started again without a fault it ends with the bytes of an undisturbed one;
  - no temporary file stays.
"""
import argparse
import concurrent.futures
import errno
import pathlib
import random
import re
import shutil
import sys

import small_job

KINDS = {"open": [errno.EACCES, errno.EMFILE], "read": [errno.EIO], "write": [errno.ENOSPC, errno.EIO],
         "fsync": [errno.EIO], "rename": [errno.EACCES], "close": [errno.EIO], "mkdir": [errno.ENOSPC],
         "mmap": [errno.ENOMEM], "thread": [errno.EAGAIN], "memory": [errno.ENOMEM]}
FILE_KINDS = ("open", "read", "write", "fsync", "rename", "close", "mkdir")
RAW = re.compile(r"std::|filesystem error|json\.exception|basic_ios|terminate|vector|check failed|dnnl|primitive")
THREADS = {"OMP_NUM_THREADS": "3"}


class Case:
    """A command; its output lies in the folder that stands for OUT in its words. `products` are the files to compare."""

    def __init__(self, name, words, products):
        self.name, self.words, self.products = name, words, products

    def run(self, job, out, environment=None):
        return job.run(*(word.replace("OUT", out) for word in self.words), environment={**THREADS, **(environment or {})})

    def read(self, job, out):
        found = {}
        for pattern in self.products:
            for path in sorted((job.folder / out).glob(pattern)):
                found[path.name] = path.read_bytes()
        return found


CASES = [
    Case("run", ["run", "recipe.toml", "--seed", small_job.SEED, "--out", "OUT", "--set", "train.max_steps=4", "--set",
                 "train.checkpoint_every_s=1e-9", "--set", "train.val_every=2", "--set", "quant.calibration_tokens=1024"],
         ["final_model.int6.bin"]),
    Case("tokenize", ["tokenize", "text.jsonl", "--tokenizer", "m.model", "--out", "OUT", "--val-every", "10"],
         ["*.bin", "*.json"]),
    Case("pack", ["pack", "record/final_model.safetensors", "OUT/packed.bin", "--recipe", "record/recipe.toml", "--set",
                  "quant.calibration_tokens=1024"], ["packed.bin"]),
    Case("encode", ["encode", "record/final_model.int6.bin", "--recipe", "record/recipe.toml", "--text", "text.txt", "--out",
                    "OUT/coded.pgt"], ["coded.pgt"]),
]


def judge(case, done, found, expected, kind):
    """What is wrong right after the disturbed command, or nothing."""
    code, said = done.returncode, done.stderr.rstrip("\n")
    last = said.rpartition("\n")[2]
    if code < 0 or code >= 128:
        return f"died with {code}: {last}"
    if code == 0:
        if found != expected:
            return "succeeded with other bytes"
        if case.name == "run" and kind == "write" and "cannot" not in said and "checkpoint:failed" not in said:
            return "a lost write was not said"
        return None
    if not last.startswith("train_gpt: "):
        return f"failed without a line of ours: {last}"
    if RAW.search(last):
        return f"failed with a raw message: {last}"
    if kind in FILE_KINDS and '"' not in last:
        return f"failed without naming a file: {last}"
    return None


def try_point(job, case, kind, call, error, expected):
    """The exit code, none where the call did not come (which thread does what varies); and what is wrong, or nothing."""
    out = f"{case.name}_{kind}_{call}_{error}"
    counts = job.folder / f"{out}.counts"
    done = case.run(job, out, {"LD_PRELOAD": ARGUMENTS.shim, "FAULT_KIND": kind, "FAULT_AT": str(call),
                               "FAULT_ERRNO": str(error), "FAULT_ROOT": str(job.folder), "FAULT_COUNTS": str(counts)})
    has_fired = not counts.exists() or read_counts(counts).get(kind, 0) >= call
    problem = judge(case, done, case.read(job, out), expected, kind)
    stray = small_job.list_stray(job.folder / out)
    if problem is None and stray:
        problem = f"left {stray}; exit code {done.returncode}"
    if problem is None and done.returncode != 0:
        again = case.run(job, out)
        if again.returncode != 0:
            problem = f"cannot be done again: {again.stderr.strip()}; after: {done.stderr.strip()}"
        elif case.read(job, out) != expected:
            problem = "done again, it gives other bytes"
        elif small_job.list_stray(job.folder / out):
            problem = f"done again, it leaves {small_job.list_stray(job.folder / out)}"
    shutil.rmtree(job.folder / out, ignore_errors=True)
    counts.unlink(missing_ok=True)
    return done.returncode if has_fired else None, problem


def read_counts(path):
    return {kind: int(calls) for kind, calls in (line.split() for line in path.read_text().splitlines())}


def count_calls(job, case):
    """The undisturbed command under the shim: calls of each kind, and its products."""
    counts = job.folder / "counts"
    out = f"{case.name}_whole"
    done = case.run(job, out, {"LD_PRELOAD": ARGUMENTS.shim, "FAULT_ROOT": str(job.folder), "FAULT_COUNTS": str(counts)})
    if done.returncode != 0:
        sys.exit(f"{case.name} fails undisturbed: {done.stderr}")
    return read_counts(counts), case.read(job, out)


def list_points(calls, draw):
    points = []
    for kind, errors in KINDS.items():
        of_kind = [(kind, call, error) for call in range(1, calls[kind] + 1) for error in errors]
        points += of_kind if ARGUMENTS.all else draw.sample(of_kind, min(ARGUMENTS.points, len(of_kind)))
    return points


def main():
    draw = random.Random(ARGUMENTS.seed)
    only_case, _, only_kind = (ARGUMENTS.only or "").partition(":")
    tried = failed = 0
    with small_job.SmallJob(ARGUMENTS.program) as job, \
            concurrent.futures.ThreadPoolExecutor(ARGUMENTS.jobs) as pool:
        job.make_record("record")
        for case in CASES:
            if only_case and case.name != only_case:
                continue
            calls, expected = count_calls(job, case)
            points = [p for p in list_points(calls, draw) if not only_kind or p[0] == only_kind]
            codes = {}
            futures = [(point, pool.submit(try_point, job, case, *point, expected)) for point in points]
            for (kind, call, error), future in futures:
                code, problem = future.result()
                if code is not None:
                    codes[code] = codes.get(code, 0) + 1
                if problem:
                    failed += 1
                    print(f"{case.name}: {kind} {call} of {calls[kind]} ({errno.errorcode[error]}): {problem}", flush=True)
            reached = sum(codes.values())
            tried += reached
            of_kinds = ", ".join(f"{calls[kind]} {kind}" for kind in KINDS if calls[kind] > 0)
            print(f"{case.name}: {reached} points tried of {of_kinds}; exit codes {codes}", flush=True)
    print(f"faults: {tried} points tried, {failed} failed (seed {ARGUMENTS.seed})")
    sys.exit(1 if failed or tried == 0 else 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("shim", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--points", type=int, default=3)
    ARGUMENTS = parser.parse_args()
    main()
