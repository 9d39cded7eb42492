#!/usr/bin/env python3
"""Ends a small run again and again with a signal at a random moment, starts it again each time, and compares what comes out.

  kill_runs.py PROGRAM COUNT [--seed N]

The signals are SIGKILL, and SIGTERM or SIGINT once (the run ends with a record of fewer steps, which is thrown away) or twice
(it leaves at once). Each run that ends by itself gives the bytes of an undisturbed one; another begins until COUNT signals
have been sent.
"""
import argparse
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import small_job

STEPS = 150
WORDS = ["run", "recipe.toml", "--seed", small_job.SEED, "--set", f"train.max_steps={STEPS}", "--set",
         "train.checkpoint_every_s=1e-9"]
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TAPE_PEER = pathlib.Path(__file__).parent.parent / "cli" / "tape_peer.py"
SECOND_S = 0.05  # between the two of a pair, so that both arrive


def has_all_steps(folder):
    return json.loads((folder / "submission.json").read_text())["train_steps"] == STEPS


def check_ended(folder, whole):
    """A finished record: nothing stray lies beside it, its tape binds it, and with all its steps it has the bytes of `whole`."""
    if small_job.list_stray(folder):
        return f"a run ended and left {small_job.list_stray(folder)}"
    tape = subprocess.run([sys.executable, TAPE_PEER, folder], capture_output=True, text=True, check=False)
    if tape.returncode != 0:
        return f"a run ended with a tape that does not bind its record: {tape.stderr}"
    if has_all_steps(folder) and (folder / "final_model.int6.bin").read_bytes() != whole:
        return "another artifact than that of the undisturbed run"
    return None


def disturb(process, draw):
    """One or two signals; gives the exit codes that they allow."""
    number = draw.choice(SIGNALS)
    process.send_signal(number)
    if number == signal.SIGKILL:
        return {-number}
    if draw.random() < 0.5:
        time.sleep(SECOND_S)
        process.send_signal(number)
    # 0: a record of the steps so far; 1: none, before the first step; the others: at once.
    return {0, 1, -number, 128 + number}


def main():
    draw = random.Random(ARGUMENTS.seed)
    kills = ends = 0
    with small_job.SmallJob(ARGUMENTS.program) as job:
        began = time.monotonic()
        if job.run(*WORDS, "--out", "whole").returncode != 0:
            sys.exit("kill_runs: the undisturbed run failed")
        length_s = time.monotonic() - began
        whole = (job.folder / "whole" / "final_model.int6.bin").read_bytes()
        folder = job.folder / "killed"
        while kills < ARGUMENTS.count or ends == 0:
            process = job.start(*WORDS, "--out", "killed", stderr=subprocess.PIPE, text=True)
            allowed = {0}
            try:
                process.wait(small_job.TIMEOUT_S if kills >= ARGUMENTS.count else draw.uniform(0, 0.6 * length_s))
            except subprocess.TimeoutExpired:
                allowed |= disturb(process, draw)
                kills += 1
            said = process.communicate(timeout=small_job.TIMEOUT_S)[1]
            code = process.returncode
            has_record = (folder / "submission.json").exists()  # also of one that was killed just before its end
            problem = None if code in allowed else f"exit code {code}: {said.strip()}"
            if code == 0 and not has_record:
                problem = f"a run ended without a record; there are {sorted(p.name for p in folder.iterdir())}"
            if has_record and not problem:
                problem = check_ended(folder, whole)
                ends += has_all_steps(folder)
                shutil.rmtree(folder)
            if problem:
                sys.exit(f"kill_runs: {problem}, after {kills} signals (seed {ARGUMENTS.seed})")
    print(f"kill_runs: {kills} signals, {ends} runs to the end, all with the same bytes (seed {ARGUMENTS.seed})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    ARGUMENTS = parser.parse_args()
    main()
