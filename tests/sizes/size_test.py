#!/usr/bin/env python3
"""Holds what we ship to the committed table of sizes, sizes.txt beside this file, with 2 % slack either way: growth has to be
wanted, and what was saved stays saved.

  size_test.py code BUILD_FOLDER       the counted code, the golden artifacts, what the coder makes of their codes today
  size_test.py program BUILD_FOLDER    the stripped program; only where the table knows this compiler with these flags
  size_test.py --accept BUILD_FOLDER   write the table anew; rows of other compilers stay
  size_test.py --self                  plant growth in a scratch table and see that it is caught
"""
import hashlib
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = pathlib.Path(__file__).with_name("sizes.txt")
GOLDEN = "tests/fuzz/corpus/artifact"
SLACK = 0.02
HEAD = """\
# Bytes of what we ship; 2 % slack. After a wanted change: tests/sizes/size_test.py --accept build, and say why in the commit.
"""


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def code_sizes(build):
    sizes = {}
    for path in sorted(build.glob("code_bundle_*.zpaq")):
        features = path.stem.removeprefix("code_bundle_").replace("_", ", ")
        sizes[f"counted code, {features}"] = path.stat().st_size
    for path in sorted((ROOT / GOLDEN).glob("*.bin")):
        sizes[f"{GOLDEN}/{path.name}"] = path.stat().st_size
        said = run(build / "train_gpt", "bench", "pack", "--no-lrzip", path)
        ours = re.search(r"^ *ours +([\d,]+) ", said, re.MULTILINE)
        sizes[f"codes of {path.name}, coded anew"] = int(ours[1].replace(",", ""))
    return sizes


def describe_build(build):
    """The compiler, its flags, and a digest of every macro they define: `native` means another thing on each machine."""
    entries = json.loads((build / "compile_commands.json").read_text())
    words = shlex.split(next(e["command"] for e in entries if e["file"] == str(ROOT / "train_gpt.cpp")))
    words = words[1:] if words[0].endswith("ccache") else words
    compiler, flags = words[0], [w for w in words[1:] if re.match(r"-(O|f|m|std|g)", w)]
    macros = run(compiler, *flags, "-dM", "-E", "-x", "c++", "/dev/null")
    version = run(compiler, "--version").split("\n")[0]
    return f"{version} {' '.join(flags)} [{hashlib.sha256(macros.encode()).hexdigest()[:8]}]"


def program_sizes(build):
    with tempfile.TemporaryDirectory() as folder:
        stripped = pathlib.Path(folder) / "train_gpt"
        run("strip", "-o", stripped, build / "train_gpt")
        return {f"train_gpt, stripped: {describe_build(build)}": stripped.stat().st_size}


def read_table(path):
    rows = (line.split(None, 1) for line in path.read_text().split("\n") if line and not line.startswith("#"))
    return {name: int(size.replace(",", "")) for size, name in rows}


def write_table(path, sizes):
    path.write_text(HEAD + "".join(f"{size:>12,}  {name}\n" for name, size in sorted(sizes.items())))


def compare(sizes, table):
    problems = []
    for name, size in sizes.items():
        change = size / table[name] - 1 if name in table else None
        if change is None:
            problems.append(f"\"{name}\" is not in the table")
        elif abs(change) > SLACK:
            problems.append(f"\"{name}\" has {size:,} bytes, {100 * change:+.1f} % against the table's {table[name]:,}")
        else:
            print(f"{size:>12,}  {100 * change:+.2f} %  {name}")
    return problems


def check_self():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "sizes.txt"
        write_table(path, {"same": 1000, "within": 1000, "grown": 1000, "shrunk": 1000})
        problems = compare({"same": 1000, "within": 1019, "grown": 1021, "shrunk": 979, "new": 1}, read_table(path))
    caught = [re.match(r'"(\w+)"', problem)[1] for problem in problems]
    if caught != ["grown", "shrunk", "new"]:
        sys.exit(f"size_test: caught {caught}")


def main():
    match sys.argv[1:]:
        case ["--self"]:
            check_self()
        case ["--accept", build]:
            build = pathlib.Path(build).resolve()
            other = {name: size for name, size in read_table(TABLE).items() if name.startswith("train_gpt")}
            write_table(TABLE, other | code_sizes(build) | program_sizes(build))
        case [("code" | "program") as what, build]:
            build = pathlib.Path(build).resolve()
            sizes, table = (code_sizes if what == "code" else program_sizes)(build), read_table(TABLE)
            if what == "program" and not sizes.keys() & table.keys():
                print(f"not compared: the table has no row for\n{next(iter(sizes))}")
                return
            problems = compare(sizes, table)
            for problem in problems:
                print(problem)
            if problems:
                sys.exit("size_test: a wanted change is accepted by tests/sizes/size_test.py --accept BUILD_FOLDER")
        case _:
            sys.exit(__doc__)


main()
