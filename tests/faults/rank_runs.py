#!/usr/bin/env python3
"""Small runs on several ranks: threads of one process, and processes that mpirun starts where it is installed.

  rank_runs.py PROGRAM [KILLS]     KILLS: how often one of four processes is killed at a random moment (3)

Every run ends with the bytes and the score of the one on one rank, by a network that learns while it is scored and n-grams; a job of which a process dies ends within 30 s, and what goes on from its
checkpoint, on any number of ranks, ends with the same bytes.
"""
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import small_job

END_WITHIN_S = 30
SCORING = ["--set", "ttt.kind=lora", "--set", "ttt.lora_chunk_tokens=64", "--set", "mix.kind=logit"]
WORDS = ["run", "recipe.toml", "--seed", small_job.SEED, "--set", "train.max_steps=200", "--set", "train.batch_tokens=2048",
         "--set", "train.micro_batch_tokens=256", "--set", "train.gradient_leaves=8", "--set", "train.average=best",
         "--set", "train.held_out_tokens=1000", "--set", "optimizer.grad_clip_norm=0.3", "--set", "train.checkpoint_every_s=1e-9", "--set", "train.val_every=100",
         *SCORING]
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none"]
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def expect(holds, what, *shown):
    if not holds:
        print(*shown, sep="\n")
        sys.exit(f"failed: {what}")
    print(f"ok: {what}", flush=True)


def artifact(job, name):
    """What a run on any number of ranks must end with: the artifact's bytes, and the digits of the loss before quantising, the
    round trip and the final score."""
    folder = job.folder / name
    scores = re.findall(r"val_loss:[0-9.]+ val_bpb:[0-9.]+", (folder / f"train_seed{small_job.SEED}.log").read_text())
    return (folder / "final_model.int6.bin").read_bytes(), scores[-6:]


def start_processes(job, ranks, *words, environment=None):
    return subprocess.Popen([*MPIRUN, "-np", str(ranks), job.program, *words], cwd=job.folder,
                            env={**job.environment, **AS_ROOT, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(process, within_s, what):
    try:
        return (process.returncode, *process.communicate(timeout=within_s))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        sys.exit(f"failed: {what}: it did not end within {within_s} s")


def check_threads(job, whole):
    for ranks in (2, 4):
        for threads in ("1", "2"):
            done = job.run(*WORDS, "--ranks", str(ranks), "--out", "several", environment={"OMP_NUM_THREADS": threads})
            expect(done.returncode == 0 and artifact(job, "several") == whole,
                   f"{ranks} ranks by threads, {threads} threads: the same bytes", done.stdout, done.stderr)
            shutil.rmtree(job.folder / "several")


def check_scores(job):
    """The score of an artifact by itself, on ranks of both kinds."""
    words = ["eval", "whole/final_model.int6.bin", "--recipe", "recipe.toml", *SCORING]
    scores = {}
    for ranks in (1, 2, 4):
        scores[f"{ranks} threads"] = job.run(*words, "--ranks", str(ranks)).stdout
        if shutil.which("mpirun"):
            _, scores[f"{ranks} processes"], _ = finish(start_processes(job, ranks, *words), small_job.TIMEOUT_S, "eval")
    digits = {re.sub(" eval_time.*", "", said) for said in scores.values()}
    expect(len(digits) == 1 and digits.pop().startswith("val_loss:"), f"eval on {', '.join(scores)}: the same digits, said once", scores)


def check_refusals(job):
    done = job.run(*WORDS, "--ranks", "3", "--out", "three")
    expect(done.returncode == 1 and done.stderr.count("\n") == 1 and not (job.folder / "three").exists() and
           '3 ranks do not divide train.gradient_leaves "8"' in done.stderr, "three ranks for eight leaves", done.stderr)
    started = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "10.9.8.7"}
    far = job.run(*WORDS, "--out", "far", environment={**started, "LOCAL_WORLD_SIZE": "1"})
    expect(far.returncode == 1 and "mpirun -np 2" in far.stderr and not (job.folder / "far").exists(),
           "torchrun across machines gets the mpirun line", far.stderr)


def check_processes(job, whole):
    for ranks, threads in ((2, "1"), (2, "2"), (4, "1"), (4, "2")):
        process = start_processes(job, ranks, *WORDS, "--out", "processes", environment={"OMP_NUM_THREADS": threads})
        _, out, err = finish(process, small_job.TIMEOUT_S, f"{ranks} processes")
        expect(process.returncode == 0 and artifact(job, "processes") == whole,
               f"{ranks} processes, {threads} threads each: the same bytes and scores", out, err)
        if (ranks, threads) != (4, "2"):
            shutil.rmtree(job.folder / "processes")
    again = start_processes(job, 2, *WORDS, "--out", "processes")
    _, out, err = finish(again, END_WITHIN_S, "a finished record")
    expect(again.returncode != 0 and err.count("holds a finished record") == 1, "a finished record is said once, by rank 0", out, err)
    shutil.rmtree(job.folder / "processes")
    other = start_processes(job, 1, *WORDS, "--out", "uneven", ":", "-np", "1", job.program, *WORDS, "--out", "uneven",
                            "--set", "optimizer.matrix_lr=0.03")
    _, out, err = finish(other, END_WITHIN_S, "ranks of two recipes")
    expect(other.returncode != 0 and 'optimizer.matrix_lr is "' in err, "ranks with different recipes are refused by the key", out, err)
    shutil.rmtree(job.folder / "uneven", ignore_errors=True)


def list_ranks(job):
    """The processes of the program that mpirun started, by their environment."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if os.readlink(folder / "exe") != os.path.realpath(job.program):
                continue
            variables = dict(v.split("=", 1) for v in (folder / "environ").read_text().split("\0") if "=" in v)
            if os.readlink(folder / "cwd") == str(job.folder):
                found[int(variables["OMPI_COMM_WORLD_RANK"])] = int(folder.name)
        except (OSError, KeyError):
            continue
    return found


def check_kills(job, whole, kills):
    """A kill that came before the record was whole leaves a checkpoint to go on from. One that came behind it, while the processes
    took leave of each other, leaves the record: that must be right as well, but is not counted."""
    draw = random.Random(5)
    kill = 0
    while kill < kills:
        process = start_processes(job, 4, *WORDS, "--out", "killed")
        began = time.monotonic()
        while not (job.folder / "killed" / "checkpoint.bin").exists() and process.poll() is None:
            if time.monotonic() - began > small_job.TIMEOUT_S:
                sys.exit("failed: no checkpoint came")
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 1.0))
        ranks = list_ranks(job)
        victim = draw.randrange(4)
        if victim not in ranks:  # it has ended already
            finish(process, small_job.TIMEOUT_S, "a job")
            shutil.rmtree(job.folder / "killed")
            continue
        kill += 1
        os.kill(ranks[victim], signal.SIGKILL)
        killed_at = time.monotonic()
        _, out, err = finish(process, END_WITHIN_S, f"kill {kill}, of rank {victim}")
        took = time.monotonic() - killed_at
        while list_ranks(job) and time.monotonic() - killed_at < END_WITHIN_S:
            time.sleep(0.05)
        expect(process.returncode != 0 and f"rank {victim}" in err and not list_ranks(job),
               f"kill {kill}: the job without rank {victim} ended after {took:.1f} s, naming it", out, err)
        after = draw.choice([1, 2, 4])
        done = job.run(*WORDS, "--ranks", str(after), "--out", "killed")
        if "holds a finished record" in done.stderr:
            kill -= 1
            expect(artifact(job, "killed") == whole, "it was killed behind its record, which has the same bytes and scores", done.stderr)
        else:
            expect(done.returncode == 0 and artifact(job, "killed") == whole,
                   f"it went on with {after} to the same bytes and scores", done.stdout, done.stderr)
        shutil.rmtree(job.folder / "killed")


def main():
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with small_job.SmallJob(sys.argv[1]) as job:
        done = job.run(*WORDS, "--out", "whole")
        expect(done.returncode == 0, "one rank", done.stderr)
        whole = artifact(job, "whole")
        check_threads(job, whole)
        check_scores(job)
        check_refusals(job)
        if shutil.which("mpirun") is None:
            print("no mpirun: ranks as processes were not tried")
            return
        check_processes(job, whole)
        check_kills(job, whole, kills)


if __name__ == "__main__":
    main()
