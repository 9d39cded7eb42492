#!/usr/bin/env python3
"""Runs the command line as a user would and compares every byte of what it says.

  run_cli_tests.py PROGRAM CASE_FOLDER...            run cases
  run_cli_tests.py --accept PROGRAM CASE_FOLDER...   write what the program says now into the .exact files

A case is a folder with
  cmd             lines for bash, run in an empty folder; `train_gpt` is the program, $CASE the case's folder
  stdout.exact, stderr.exact   what must come; or stdout.glob, stderr.glob with * for any text, where figures vary;
                  a missing file means that nothing may come
  exit            the exit code; a missing file means 0
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

TIMEOUT_S = 120
CHECKED_TIMEOUT_S = 280  # of a build with sanitizers, which takes up to twenty times as long; below what ctest allows


def is_checked(program):
    return "sanitizers" in subprocess.run([program, "--version"], capture_output=True, text=True).stdout


def run_case(program, case):
    with tempfile.TemporaryDirectory() as folder:
        bin_folder = pathlib.Path(folder) / "bin"
        work_folder = pathlib.Path(folder) / "work"
        bin_folder.mkdir()
        work_folder.mkdir()
        (bin_folder / "train_gpt").symlink_to(program)
        # Nothing of the caller's environment: recipe keys may come from variables such as SEED.
        environment = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "CASE": str(case), "LC_ALL": "C.UTF-8", "HOME": folder}
        if "LD_PRELOAD" in os.environ:
            environment["LD_PRELOAD"] = os.environ["LD_PRELOAD"]
        case_process = subprocess.Popen(["bash", "-eu", "-o", "pipefail", str(case / "cmd")], cwd=work_folder, env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True)
        try:
            stdout, stderr = case_process.communicate(timeout=CHECKED_TIMEOUT_S if is_checked(program) else TIMEOUT_S)
        finally:
            if case_process.poll() is None:  # with what it started: a run of a million steps must not outlive its test
                os.killpg(case_process.pid, signal.SIGKILL)
                case_process.wait()
        return case_process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace")


def matches(case, stream, said):
    glob = case / f"{stream}.glob"
    if glob.exists():
        pattern = ".*".join(re.escape(part) for part in glob.read_text().split("*"))
        return re.fullmatch(pattern, said, re.DOTALL) is not None, glob.read_text()
    exact = case / f"{stream}.exact"
    expected = exact.read_text() if exact.exists() else ""
    return said == expected, expected


def accept(case, code, said):
    (case / "exit").write_text(f"{code}\n")
    for stream, text in said.items():
        if not (case / f"{stream}.glob").exists():
            path = case / f"{stream}.exact"
            if text:
                path.write_text(text)
            else:
                path.unlink(missing_ok=True)
    if code == 0:
        (case / "exit").unlink()


def check_case(program, case):
    code, stdout, stderr = run_case(program, case)
    exit_file = case / "exit"
    expected_code = int(exit_file.read_text()) if exit_file.exists() else 0
    problems = []
    if code != expected_code:
        problems.append(f"exit code {code}, expected {expected_code}")
    for stream, said in (("stdout", stdout), ("stderr", stderr)):
        good, expected = matches(case, stream, said)
        if not good:
            problems.append(f"{stream} is\n{said}\nexpected\n{expected}")
    return problems


def main():
    arguments = sys.argv[1:]
    is_accepting = arguments[:1] == ["--accept"]
    if is_accepting:
        arguments = arguments[1:]
    if len(arguments) < 2:
        sys.exit(__doc__)
    program = pathlib.Path(arguments[0]).resolve()
    failed = 0
    for name in arguments[1:]:
        case = pathlib.Path(name).resolve()
        if is_accepting:
            code, stdout, stderr = run_case(program, case)
            accept(case, code, {"stdout": stdout, "stderr": stderr})
            continue
        problems = check_case(program, case)
        failed += bool(problems)
        for problem in problems:
            print(f"{case.name}: {problem}")
    print(f"cli: {len(arguments) - 1} cases, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
