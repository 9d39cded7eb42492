#!/usr/bin/env python3
"""What a configuration says where there is no nvcc, or one that is too old: one line, and that the build goes on without GPUs or,
where it was told to have them, ends.

  configure_test.py ROOT
"""
import pathlib
import subprocess
import sys
import tempfile

WITHOUT = "CUDA kernels: not compiled, {}; the host runs them by the fiber executor"
OLD = "nvcc 11.4 is too old, 12.0 is the least"
# What the compiler is, PG_CUDA, whether the configuration succeeds, what it says.
CASES = [("NOTFOUND", "AUTO", True, WITHOUT.format("no nvcc was found")),
         ("NOTFOUND", "ON", False, "PG_CUDA is ON but no nvcc was found; install the CUDA toolkit or set PG_CUDA=AUTO"),
         ("old", "AUTO", True, WITHOUT.format(OLD)),
         ("old", "ON", False, f"PG_CUDA is ON but {OLD}; install the CUDA toolkit or set PG_CUDA=AUTO")]


def configure(root, folder, compiler, wanted):
    if compiler == "old":
        compiler = folder / "nvcc"
        compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Cuda compilation tools, release 11.4, V11.4.48"\n')
        compiler.chmod(0o755)
    run = subprocess.run(["cmake", "-S", root, "-B", folder / "build", f"-DCMAKE_CUDA_COMPILER={compiler}", f"-DPG_CUDA={wanted}",
                          "-DBUILD_TESTING=OFF"], capture_output=True, text=True)
    return run.returncode == 0, " ".join((run.stdout + run.stderr).split())


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    for compiler, wanted, succeeds, line in CASES:
        with tempfile.TemporaryDirectory() as folder:
            has_succeeded, said = configure(sys.argv[1], pathlib.Path(folder), compiler, wanted)
        if has_succeeded != succeeds or line not in said:
            sys.exit(f"nvcc {compiler}, PG_CUDA={wanted}: {'success' if has_succeeded else 'failure'}, without \"{line}\":\n{said}")
    print(f"{len(CASES)} configurations say what they lack")


if __name__ == "__main__":
    main()
