#!/usr/bin/env python3
"""Holds the machine code of every kernel to the committed table kernels/budgets.txt: registers, bytes of static shared memory
and of spills, global loads and stores by width, tensor-core instructions, as NVIDIA's own disassembler shows them.

  kernel_budgets_test.py OBJECTS             fail where a kernel passes its budget
  kernel_budgets_test.py --accept OBJECTS    write the table anew
  kernel_budgets_test.py --self              plant excesses in a scratch table and see that each is caught

OBJECTS: objects or a library that nvcc made. cuobjdump and nvdisasm are looked for in cuda_tools/ beside the objects, on the
PATH, beside nvcc and among Python's packages; without them the test skips (77):
  pip install --target build/cuda_tools nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm
"""
import os
import pathlib
import re
import shutil
import site
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
TABLE = ROOT / "kernels" / "budgets.txt"
SKIP = 77
WIDTHS = (128, 64, 32, 16, 8)
# How a row is read: what a kernel may have at most, at least, or exactly. Loads and stores are of global memory.
COLUMNS = ["registers", "shared", "spilled"] + [f"{name}.{width}" for name in ("load", "store") for width in WIDTHS] + ["hmma"]
HEAD = """\
# Budgets of kernels/*.cu, one row a kernel and architecture: registers; bytes of static shared memory; bytes of spills and of
# local memory; global loads and stores in the code, of 128/64/32/16/8 bits; tensor-core instructions. A kernel fails that has more
# of the first three, more accesses below 128 bits, fewer of 128 bits while it has narrow ones, or other tensor-core
# instructions. After a wanted change: tests/simt/budgets/kernel_budgets_test.py --accept build/libpg_kernels_cuda.a
"""


def find_tools(objects):
    """The folder that has both programs, or None."""
    folders = [*pathlib.Path(objects).parent.glob("cuda_tools/nvidia/cu*/bin"), *os.environ["PATH"].split(os.pathsep)]
    if shutil.which("nvcc"):
        folders.append(pathlib.Path(shutil.which("nvcc")).resolve().parent)
    for packages in [*site.getsitepackages(), site.getusersitepackages()]:
        folders += pathlib.Path(packages).glob("nvidia/cu*/bin")
    for folder in folders:
        if all(os.access(pathlib.Path(folder) / tool, os.X_OK) for tool in ("cuobjdump", "nvdisasm")):
            return str(folder)
    return None


def dump(tools, *arguments):
    environment = {**os.environ, "PATH": tools + os.pathsep + os.environ["PATH"]}
    return subprocess.run([f"{tools}/cuobjdump", *arguments], check=True, capture_output=True, text=True, env=environment).stdout


def short_names(symbols):
    """rmsnorm_kernels::rmsnorm_kernel<float, 32, true> for each symbol."""
    symbols = sorted(symbols)
    plain = subprocess.run(["c++filt"], input="\n".join(symbols), check=True, capture_output=True, text=True).stdout.split("\n")
    names = {}
    for symbol, name in zip(symbols, plain):
        name = re.sub(r"\bpg::(kernels::)?", "", name).removeprefix("void ")
        depth = 0
        for end, letter in enumerate(name):  # the parameters begin at the first ( outside of <>
            depth += {"<": 1, ">": -1}.get(letter, 0)
            if letter == "(" and depth == 0:
                name = name[:end]
                break
        names[symbol] = name.replace("> >", ">>")
    return names


def count_accesses(row, instruction):
    words = instruction.split(".")
    if words[0] == "HMMA":
        row["hmma"] += 1
    name = {"LDG": "load", "STG": "store"}.get(words[0])
    if name is None:
        return
    width = next((int(w) for w in words if w in ("128", "64")), None)
    if width is None:
        width = next((int(w[1:]) for w in words if w in ("U8", "S8", "U16", "S16")), 32)
    row[f"{name}.{width}"] += 1


def measure(tools, objects):
    """{(kernel, architecture): {column: number}} of all kernels."""
    rows, symbol, architecture = {}, None, None
    for line in dump(tools, "-res-usage", *objects).split("\n"):
        if found := re.match(r"arch = (sm_\w+)", line):
            architecture = found[1]
        elif found := re.match(r" Function (\w+):", line):
            symbol = found[1]
        elif found := re.match(r"  REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", line):
            registers, stack, shared, local = map(int, found.groups())
            rows[symbol, architecture] = dict.fromkeys(COLUMNS, 0) | {
                "registers": registers, "shared": shared, "spilled": stack + local}
    for line in dump(tools, "-sass", *objects).split("\n"):
        if found := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?([A-Z][\w.]*)", line):
            count_accesses(rows[symbol, architecture], found[1])
        elif found := re.match(r"\s+Function : (\w+)", line):
            symbol = found[1]
        elif found := re.match(r"\s+code for (sm_\w+)", line):
            architecture = found[1]
    names = short_names({symbol for symbol, _ in rows})
    return {(names[symbol], architecture): row for (symbol, architecture), row in rows.items()}


def format_table(rows, compiler):
    lines = [HEAD + f"# {compiler}\n"]
    for (name, architecture), row in sorted(rows.items()):
        cells = [f"{row[c]}" for c in COLUMNS[:3]]
        for access in ("load", "store"):
            cells.append("/".join(f"{row[f'{access}.{width}']}" for width in WIDTHS))
        cells.append(f"{row['hmma']}")
        lines.append(f"{architecture}  {'  '.join(cells)}  {name}\n")
    return "".join(lines)


def parse_table(text):
    rows, compiler = {}, ""
    for line in text.split("\n"):
        if line.startswith("# nvcc"):
            compiler = line[2:]
        if line.startswith("#") or not line:
            continue
        architecture, *cells, name = line.split("  ", 7)
        numbers = [int(number) for cell in cells for number in cell.split("/")]
        rows[name, architecture] = dict(zip(COLUMNS, numbers, strict=True))
    return rows, compiler


def compare(rows, budgets):
    """What is wrong, one text a kernel."""
    faults = []
    for key in sorted(rows.keys() | budgets.keys()):
        where = f"{key[0]} on {key[1]}"
        if key not in budgets or key not in rows:
            faults.append(f"{where}: " + ("is not in the table" if key not in budgets else "is no kernel any more"))
            continue
        row, budget = rows[key], budgets[key]
        excesses = []
        for column in COLUMNS:
            is_wide = column.endswith(".128")
            narrow = sum(row[f"{column.split('.')[0]}.{width}"] for width in WIDTHS[1:]) if is_wide else 0
            is_fault = row[column] > budget[column]
            if is_wide:
                is_fault = row[column] < budget[column] and narrow > 0
            if column == "hmma":
                is_fault = row[column] != budget[column]
            if is_fault:
                excesses.append(f"{column} {row[column]}, budget {budget[column]}")
        if excesses:
            faults.append(f"{where}: {'; '.join(excesses)}")
    return faults


def compiler_version():
    said = subprocess.run([shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"release [\d.]+, (V[\d.]+)", said)
    return f"nvcc {found[1]}" if found else "nvcc of an unknown version"


def test_self():
    row = dict(zip(COLUMNS, (40, 64, 0, 4, 0, 2, 0, 0, 4, 0, 0, 1, 0, 16)))
    key = ("family::kernel<float, true>", "sm_80")
    good = {key: row}
    table, compiler = parse_table(format_table(good, "nvcc V1"))
    planted = {column: {key: row | {column: row[column] + 1}} for column in COLUMNS if not column.endswith(".128")}
    planted |= {column: {key: row | {column: row[column] - 1}} for column in ("load.128", "store.128", "hmma")}
    planted |= {"a kernel more": {**good, ("other", "sm_80"): row}, "a kernel less": {}}
    missed = [name for name, rows in planted.items() if not compare(rows, table)]
    leaner = {key: row | {"registers": 39, "load.32": 1, "load.128": 5}}
    if missed or compiler != "nvcc V1" or compare(good, table) or compare(leaner, table):
        sys.exit(f"budgets: not caught: {missed}; of the same kernels: {compare(good, table)}; of leaner ones: {compare(leaner, table)}")


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.exit(__doc__)
    if arguments == ["--self"]:
        return test_self()
    tools = find_tools(arguments[-1])
    if tools is None:
        print("skipped: cuobjdump and nvdisasm are missing; pip install --target build/cuda_tools nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
        sys.exit(SKIP)
    accepts = arguments[0] == "--accept"
    compiler = compiler_version()
    rows = measure(tools, arguments[accepts:])
    if accepts:
        TABLE.write_text(format_table(rows, compiler))
        return print(f"{len(rows)} rows in {TABLE}")
    budgets, table_compiler = parse_table(TABLE.read_text())
    if compiler != table_compiler:
        print(f"skipped: the table is of {table_compiler}, this is {compiler}, whose code differs")
        sys.exit(SKIP)
    # An architecture that the build left out is no kernel less.
    built = {architecture for _, architecture in rows}
    faults = compare(rows, {key: row for key, row in budgets.items() if key[1] in built})
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit("Budgets passed. If that is wanted: tests/simt/budgets/kernel_budgets_test.py --accept build/libpg_kernels_cuda.a, "
                 "and say why in the commit.")
    print(f"{len(rows)} kernels within their budgets")


if __name__ == "__main__":
    main()
