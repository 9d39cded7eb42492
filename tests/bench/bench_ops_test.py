#!/usr/bin/env python3
"""Every op of the op list has its lines in what `train_gpt bench ops` prints, each with a positive time, and its flops where the list
says that arithmetic bounds it.

  bench_ops_test.py TRAIN_GPT ROOT
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def read_op_names(root):
    text = (root / "src/device/op_table/op_list.h").read_text()
    return re.findall(r'\{OpId::k\w+, "(\w+)"', text)


def find_faults(names, lines):
    for name in names:
        if name not in {line["op"] for line in lines}:
            yield f"{name}: no line"
    for line in lines:
        where = f"{line['op']} [{line['shape']}]"
        if line["op"] not in names:
            yield f"{where}: no op of the list"
        if not line["us"] > 0:
            yield f"{where}: takes {line['us']} us"
        if not line["bytes"] > 0:
            yield f"{where}: moves {line['bytes']} bytes"
        if re.fullmatch("linear(_d[xw])?|attention(_backward)?", line["op"]) and not line["flops"] > 0:
            yield f"{where}: has no flops"
        if line["roofline_share"] != max(line["peak_share"], line["copy_share"]):
            yield f"{where}: its share of the roofline is not the larger of the two"


def run(program, *words):
    return subprocess.run([program, "bench", "ops", "--once", *words], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def find_wrong_answers(program):
    """Mistakes end with 1 and one line that names them."""
    with tempfile.TemporaryDirectory(dir=pathlib.Path(program).parent) as folder:
        alone = pathlib.Path(folder) / "train_gpt"
        os.link(program, alone)
        for command, named in [([program, "bench", "ops", "--once", "--filter", "no such op"], '"no such op"'),
                               ([program, "bench", "ops", "--device", "abacus"], '"abacus"'),
                               ([alone, "bench", "ops"], f'"{folder}/tests/bench_ops"')]:
            said = subprocess.run(command, capture_output=True, text=True)
            if said.returncode != 1 or said.stdout or named not in said.stderr or said.stderr.count("\n") != 1:
                yield f"{command}: {said}"
    with open("/dev/full", "w") as full:
        said = subprocess.run([program, "bench", "ops", "--once", "--filter", "lerp"], stdout=full, stderr=subprocess.PIPE)
    if said.returncode != 1:
        yield f"its output is lost: {said}"


def main():
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    names = read_op_names(root)
    machine, *lines = [json.loads(line) for line in run(program, "--json")]
    faults = list(find_faults(names, lines))
    if len(names) < 30:
        faults.append(f"only {len(names)} names found in the op list")
    if not machine["peak_gflops"] > 0 or not machine["copy_gb_per_s"] > 0:
        faults.append(f"no peak: {machine}")

    # The check can fail.
    for name in names:
        if f"{name}: no line" not in find_faults(names, [line for line in lines if line["op"] != name]):
            faults.append(f"a lost line of {name} goes unnoticed")
    if not list(find_faults(names, [lines[0] | {"us": 0.0}, *lines[1:]])):
        faults.append("a time of 0 goes unnoticed")

    # The table says the same of fewer; a text that nothing has in its name is a mistake.
    table = run(program, "--filter", "newton_schulz [")
    cases = sum(line["op"] == "newton_schulz" for line in lines)
    if len(table) != cases + 2 or not all("newton_schulz [" in row for row in table[2:]):
        faults.append(f"the table has {len(table)} lines for {cases} cases")
    faults += find_wrong_answers(program)
    print(*faults or [f"{len(names)} ops, {len(lines)} cases"], sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
