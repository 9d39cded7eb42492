#!/usr/bin/env python3
"""Comm between processes that mpirun starts: what every Comm must do, ranks that disagree, fail or are killed.

  mpi_test.py MPI_RANKS      exits 77, saying why, where there is no mpirun
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

END_WITHIN_S = 30


def start(ranks_program, ranks, what):
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    environment.pop("OMP_NUM_THREADS", None)
    command = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", ranks_program, what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run_alone(program, what, variables):
    """Without mpirun; `variables` are a launcher's."""
    return subprocess.run([program, what], capture_output=True, text=True, env=dict(os.environ, **variables), timeout=END_WITHIN_S)


def finish(job, within_s):
    try:
        out, err = job.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        job.kill()
        sys.exit(f"mpirun did not end within {within_s} s: {job.args}")
    return job.returncode, out, err


def expect(holds, what, *shown):
    if not holds:
        print(*shown, sep="\n")
        sys.exit(f"failed: {what}")
    print(f"ok: {what}")


def check_values(ranks_program):
    for ranks in (1, 2, 3, 4):
        code, out, err = finish(start(ranks_program, ranks, "check"), 200)
        expect(code == 0 and len(re.findall(r"^rank \d pid", out, re.M)) == ranks, f"{ranks} ranks agree", out, err)


def check_kill(ranks_program):
    job = start(ranks_program, 4, "wait")
    lines = [job.stdout.readline() for _ in range(4)]
    pid = next(int(line.split()[3]) for line in lines if line.startswith("rank 2 "))
    os.kill(pid, signal.SIGKILL)
    killed_at = time.monotonic()
    code, out, err = finish(job, END_WITHIN_S)
    expect(code != 0 and re.search(r"process rank 2 with PID \d+ on node \S+ exited on signal 9", err),
           f"a killed rank ends the job, with its number, after {time.monotonic() - killed_at:.1f} s", code, out, err)


def check_failures(ranks_program):
    pair = r"exchange 2: rank 0 has {} where rank 1 expects 1 pieces of 4 bytes in all"
    cases = {
        "fail": "rank 1 of 3 on \\S+: the disk is full",
        "throw": "rank 1 of 3 on \\S+: it stopped without a reason",
        "leave": "barrier 2: rank 1 has left without it|rank 1 does end 2 where rank [02] does barrier 2",
        "sizes": pair.format("1 pieces of 8 bytes in all") + "|exchange 2: rank [12] has .* where rank 0 expects",
        "counts": pair.format("0 pieces of 0 bytes in all") + "|exchange 2: rank [12] has .* where rank 0 expects",
        "operations": "rank [12] does all_gather 2 where rank 0 does exchange 2|"
                      "rank 0 does exchange 2 where rank [12] does all_gather 2",
        "gather": "all_gather 2: rank \\d has 1 pieces of (8|16) bytes in all where rank \\d expects 1 pieces of (8|16) bytes",
    }
    for what, message in cases.items():
        code, out, err = finish(start(ranks_program, 3, what), END_WITHIN_S)
        expect(code != 0 and re.search(r"^error: .*(" + message + ")", err, re.M), f"{what}: {message}", code, out, err)


def check_without_module(ranks_program):
    """The program alone, without its module, as rank 0 and 1 of a launcher: one line that says what to do."""
    with tempfile.TemporaryDirectory() as folder:
        alone = pathlib.Path(folder) / "mpi_ranks"
        shutil.copy(ranks_program, alone)
        message = (r'there is no MPI: "[^\n]*comm_mpi.so: cannot open[^\n]*"; install libopenmpi-dev and openmpi-bin and build '
                   r'again, or start one process with --ranks N\n')
        done = run_alone(alone, "check", {})
        expect(done.returncode == 1 and re.fullmatch("error: " + message, done.stderr), "no module, one line", done.stderr)
        for rank, code, wanted in ((0, 1, "error: mpirun started 2 processes, but " + message), (1, 0, "")):
            done = run_alone(alone, "launch", {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": "2"})
            expect(done.returncode == code and re.fullmatch(wanted, done.stderr), f"no module, rank {rank}", done.stderr)


def check_torchrun(ranks_program):
    """Rank 0's process serves all ranks, the other one leaves."""
    variables = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    first = run_alone(ranks_program, "launch", dict(variables, RANK="0", LOCAL_RANK="0"))
    expect(first.returncode == 0 and len(re.findall(r"^threads rank [01] of 2 threads", first.stdout, re.M)) == 2
           and "serves all 2 ranks" in first.stderr, "torchrun's first process", first.stdout, first.stderr)
    other = run_alone(ranks_program, "launch", dict(variables, RANK="1", LOCAL_RANK="1"))
    expect(other.returncode == 0 and other.stdout == "" and "rank 1 of 2 leaves" in other.stderr,
           "torchrun's other process", other.stdout, other.stderr)


def check_launch(ranks_program):
    """mpirun's ranks, unbound, divide the cores among themselves."""
    code, out, err = finish(start(ranks_program, 3, "launch"), END_WITHIN_S)
    lines = re.findall(r"^mpi rank \d of 3 threads (\d+) of (\d+)$", out, re.M)
    expect(code == 0 and len(lines) == 3, "mpirun's processes are the ranks", out, err)
    expect(sum(int(own) for own, _ in lines) == max(3, int(lines[0][1])), "which divide the cores", out)


def main():
    ranks_program = sys.argv[1]
    check_without_module(ranks_program)
    check_torchrun(ranks_program)
    module = pathlib.Path(ranks_program).parent / "comm_mpi.so"
    if not module.exists() or not shutil.which("mpirun"):
        print("skipped: " + ("no mpirun; install openmpi-bin" if module.exists() else f"{module} was not built"))
        sys.exit(77)
    check_values(ranks_program)
    check_launch(ranks_program)
    check_kill(ranks_program)
    check_failures(ranks_program)


if __name__ == "__main__":
    main()
