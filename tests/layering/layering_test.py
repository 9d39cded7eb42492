#!/usr/bin/env python3
"""Checks the layers of docs/tour.md over the whole tree: who includes whom, no third-party header in a header, no back
end's name above src/device/, unique file names, an explanation behind each include of train_gpt.cpp.

  layering_test.py ROOT       check a tree
  layering_test.py --self     plant each violation in a scratch tree and see that it is caught

A passing check ends with the arrows between the rooms as they stand.
"""
import pathlib
import re
import sys
import tempfile

# Room -> the rooms it may include besides itself: one way down, train_gpt.cpp > harness > eval > quant > src > kernels. A room
# is a folder without its subfolders; "folder/..." stands for it and all below it, a name with a dot for one file.
DATA = ["src/base", "src/data"]
CPU = ["src/base", "src/device", "src/device/exact", "kernels/bf16.h"]
MODEL = ["src/base", "src/device", "src/plan", "src/model"]
UNPACK = ["quant/format/unpack.h"]
SCORE = [*MODEL, "src/data", *UNPACK, "eval/mix", "eval/score"]
ROOMS = {
    "kernels": ["kernels/simt/simt_host.h"],
    "kernels/simt": [],
    "src/base": ["kernels/bf16.h"],
    "src/base/host": ["src/base"],
    "src/files": ["src/base"],
    "src/text": ["src/base"],
    "src/device": ["src/base", "src/base/host", "kernels/bf16.h"],
    "src/device/parts": ["src/base", "src/device"],
    "src/device/op_table": ["src/device"],
    "src/device/exact": ["src/base", "src/device"],
    "src/device/cpu": CPU,
    "src/device/cpu/gradient": [*CPU, "src/device/cpu"],
    "src/device/cpu/optimizer": [*CPU, "src/device/cpu", "src/device/cpu/gradient"],
    "src/device/cpu/training": [*CPU, "src/device/cpu"],
    "src/device/cpu/avx512": [*CPU, "src/device/cpu", "src/device/cpu/gradient"],
    "src/device/cpu/bf16": [*CPU, "src/device/cpu", "src/device/cpu/gradient", "src/device/cpu/avx512"],
    "src/device/reference": ["src/base", "src/device", "kernels/bf16.h"],
    "src/device/cuda": ["src/base", "src/device", "kernels/..."],
    "src/device/cuda/gpu": ["src/base", "src/device", "src/device/comm", "src/device/comm/nccl", "src/device/cuda", "src/device/cuda/cudnn",
                            "kernels/..."],
    "src/device/cuda/cudnn": ["src/base", "src/device/cuda", "kernels/kernel_args.h"],
    "src/device/simt": ["src/base", "src/device", "src/device/cuda", "kernels/..."],
    "src/device/forward": ["src/base", "src/device"],
    "src/device/comm": ["src/base", "src/device"],
    "src/device/comm/mpi": ["src/base", "src/device", "src/device/comm"],
    "src/device/comm/nccl": ["src/base", "src/device", "src/device/comm"],
    "src/device/comm/nccl/absent": ["src/device/comm/nccl"],
    "src/device/registry": ["src/base", "src/device/..."],
    "src/plan": ["src/base", "src/device"],
    "src/plan/gradient": ["src/base", "src/device", "src/plan"],
    "src/plan/parts": ["src/base", "src/device", "src/plan"],
    "src/plan/inspect": ["src/base", "src/device", "src/device/op_table", "src/plan"],
    "src/data": ["src/base"],
    "src/data/corpus": [*DATA, "src/files", "src/text"],
    "src/model": [*MODEL],
    "src/model/learning": [*MODEL],
    "src/model/inspect": [*MODEL],
    "src/train": [*MODEL, *DATA, "src/device/comm", "src/files", "src/plan/gradient"],
    "quant/coder": ["src/base"],
    "quant/coder/encode": ["src/base", "quant/coder"],
    "quant/format": ["src/base", "src/plan", "src/model", "quant/coder"],
    "quant/format/packed": ["src/base", "src/plan", "src/model", "quant/coder", "quant/format"],
    "quant/format/packed/zstd": ["quant/format", "quant/format/packed"],
    "quant/format/packed/lzma": ["quant/format", "quant/format/packed"],
    "quant/format/all_coders": ["quant/coder", "quant/format/packed"],
    "quant/method": [*MODEL, "quant/coder", "quant/format"],
    # What scores takes nothing of quant/ but unpack.h (law L3).
    "eval/mix": ["src/base"],
    "eval/score": SCORE,
    "eval/score/beside": [*SCORE, "eval/score/beside"],
    "eval/learn": [*SCORE, "src/model/learning", "src/plan/gradient"],
    "eval": [*SCORE, "eval/score/beside", "eval/learn"],
    "eval/code": ["src/base", "eval/score"],
    "eval/code/encode": ["src/base", "eval/score", "eval/code"],
    "eval/audit": [*MODEL, *DATA, "src/data/corpus", "eval/score", "eval/code", "eval/code/encode"],
    "eval/diagnosis": [*SCORE, "src/model/learning", "eval/learn", "eval"],
    # The counted scorer is a program of its own, linked with the CPU back end and no other.
    "eval/scorer": [*SCORE, "src/device/cpu/cpu_device.h", "eval/learn", "eval", "eval/code"],
    "eval/scorer/without_training": ["eval/scorer", "src/device/cpu", "src/plan"],
    "eval/scorer/without_learning": ["eval/scorer", "src/device/cpu", "src/plan", "eval/learn"],
    "eval/scorer/without_fast_gradients": ["eval/scorer", "src/device/cpu/gradient"],
    "eval/scorer/without_mixing": ["eval/scorer", "eval/mix"],
    "eval/scorer/without_coders": ["quant/coder", "quant/format", "quant/format/packed"],
    "harness/recipe": [*MODEL, *DATA, "src/device/comm", "src/text", "src/train", "quant/format", "eval", "eval/score", "eval/learn", "eval/mix"],
    "harness/exchange": [*MODEL, *DATA, "src/files", "src/text", "quant/format", "harness/recipe", "kernels/bf16.h"],
    "harness/statistics": ["src/base"],
    "harness/record": [*MODEL, *DATA, "src/files", "src/text", "src/train", "quant/...", "eval/...", "harness/recipe", "harness/statistics"],
    "harness/ablate": ["src/base", "src/text", "src/train", "harness/recipe", "harness/record", "harness/statistics"],
    "harness/verify": ["src/base", "src/files", "src/text", "eval/audit", "harness/record", "harness/statistics"],
    "harness/bench": [*MODEL, *DATA, "src/data/corpus", "src/files", "src/device/comm", "src/device/forward", "src/device/registry", "src/device/op_table", "src/text", "src/train",
                      "quant/...", "eval/...", "harness/recipe"],
    "harness/planner": [*MODEL, "src/plan/gradient", "src/device/op_table", "src/train", "eval/...", "harness/bench", "harness/recipe"],
    "harness/command": [*MODEL, *DATA, "src/files", "src/data/corpus", "src/device/comm", "src/device/registry", "src/device/op_table", "src/text",
                        "src/train", "quant/...", "eval/...", "harness/..."],
    "train_gpt.cpp": [*MODEL, *DATA, "src/device/comm", "src/device/registry", "src/text", "src/train", "quant/...", "eval/...", "harness/..."],
}
ABOVE_DEVICE = ("src/plan/", "src/data/", "src/text/", "src/model/", "src/train/", "quant/", "eval/", "harness/",
                "train_gpt.cpp")
STANDS_FOR_DEVICE = "eval/scorer/without_"  # in the place of what a counted scorer leaves out
BACK_END_NAME = re.compile(r"\b(?:cuda\w*|cu(?:blas|dnn|rand)\w*|CU(?:DA|BLAS)\w*|dnnl\w*|onednn\w*|nccl\w*|NCCL\w*|MPI(?:_\w+)?)\b")
# Standard headers have neither a folder nor a suffix; kernels/ speaks CUDA's own dialect where nvcc reads it.
FOREIGN_HEADER = re.compile(r"[/.]")
FOREIGN_HEADER_ALLOWED = {("kernels/dialect.h", "cuda_runtime.h"), ("kernels/dialect.h", "cuda_bf16.h"),
                          ("kernels/pack.h", "cuda_bf16.h")}
SOURCE_SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
NAMED_SUFFIXES = SOURCE_SUFFIXES | {".py", ".sh"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">](.*)$', re.MULTILINE)
# Comments and literals; what is left are the identifiers.
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
# A type at file scope. Two of one name, each in its own header, would be one type for the linker.
TYPE = re.compile(r"^(?:struct|class|enum class) ([A-Z]\w*)(?: final)?(?: :[^;{]*)? \{", re.MULTILINE)


def list_sources(root):
    """Paths relative to root. Hidden and build folders are no part of the tree."""
    folders = ["src", "kernels", "quant", "eval", "harness", "tests", "scripts"]
    found = [path for folder in folders for path in (root / folder).rglob("*") if path.suffix in NAMED_SUFFIXES]
    found += [path for path in root.glob("*.cpp")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def find_room(path):
    """The room a file lies in, or None; tests and scripts are no rooms, and a folder without an entry is reported."""
    if path in ROOMS:
        return path
    folder = path.rpartition("/")[0]
    return folder if folder and not folder.startswith(("tests", "scripts")) else None


def is_allowed(included, room):
    folder = included.rpartition("/")[0]
    for rule in [room, *ROOMS[room]]:
        if rule.endswith("/...") and (folder + "/").startswith(rule[:-3]):
            return True
        if rule in (included, folder):
            return True
    return False


def check_includes(path, text):
    room = find_room(path)
    if room and room not in ROOMS:
        yield f"{path}: lies in no room; add its folder to ROOMS, with what it may include"
        return
    for match in INCLUDE.finditer(text):
        bracket, included, rest = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if bracket == '"' and room and not is_allowed(included, room):
            yield f'{path}:{line}: includes "{included}", which its room {room} may not; see docs/tour.md'
        is_header = path.endswith((".h", ".cuh"))
        if (bracket == "<" and room and is_header and FOREIGN_HEADER.search(included)
                and (path, included) not in FOREIGN_HEADER_ALLOWED):
            yield f"{path}:{line}: a header includes <{included}>; include it in a .cpp only"
        if path == "train_gpt.cpp" and bracket == '"' and "//" not in rest:
            yield f'{path}:{line}: no comment says what "{included}" gives'


def list_arrows(root):
    """Room -> rooms that its files include, as they stand in the tree."""
    arrows = {}
    for path in list_sources(root):
        room = find_room(path)
        if room and pathlib.PurePath(path).suffix in SOURCE_SUFFIXES:
            text = (root / path).read_text(encoding="utf-8", errors="replace")
            found = {included.rpartition("/")[0] for bracket, included, _ in INCLUDE.findall(text) if bracket == '"'}
            arrows.setdefault(room, set()).update(found - {room})
    return arrows


def check_circles(root):
    """No room reaches itself by includes; files directly in a folder are a room of their own."""
    arrows = list_arrows(root)
    for start in sorted(arrows):
        reached, pending = set(), list(arrows[start])
        while pending:
            room = pending.pop()
            if room not in reached:
                reached.add(room)
                pending += arrows.get(room, ())
        if start in reached:
            yield f"{start}: a circle of includes leads back to it"


def print_summary(root):
    arrows = list_arrows(root)
    for room in sorted(arrows):
        print(f"{room:<22} -> {' '.join(sorted(arrows[room])) or '-'}")
    print(f"layering: {len(arrows)} rooms, {sum(len(a) for a in arrows.values())} arrows")


def check_names(path, text):
    if not path.startswith(ABOVE_DEVICE) or path.startswith(STANDS_FOR_DEVICE):
        return
    code = NOT_CODE.sub(lambda m: "\n" * m.group().count("\n"), text)
    for match in BACK_END_NAME.finditer(code):
        line = code.count("\n", 0, match.start()) + 1
        yield f'{path}:{line}: names "{match.group()}"; only src/device/ knows back ends'


def check_tree(root):
    problems = []
    first_with_name, first_with_type = {}, {}
    for path in list_sources(root):
        text = (root / path).read_text(encoding="utf-8", errors="replace")
        if pathlib.PurePath(path).suffix in SOURCE_SUFFIXES:
            problems += check_includes(path, text)
            problems += check_names(path, text)
        if path.endswith(".h") and find_room(path):
            for match in TYPE.finditer(text):
                first = first_with_type.setdefault(match.group(1), path)
                if first != path:
                    problems.append(f"{path}: defines {match.group(1)}, as {first} does; the linker takes them for one")
        name = pathlib.PurePath(path).name
        if name in first_with_name:
            problems.append(f"{path}: has the name of {first_with_name[name]}; file names are unique")
        first_with_name.setdefault(name, path)
    return problems + list(check_circles(root))


# Path, content, a part of the message that must come.
PLANTED = [
    ("src/base/a.h", '#include "src/device/device.h"\n', "room src/base may not"),
    ("src/data/a.cpp", '#include "src/model/model.h"\n', "room src/data may not"),
    ("src/data/a.cpp", '#include "src/data/corpus/corpus.h"\n', "room src/data may not"),
    ("src/text/a.cpp", '#include "src/data/tokenizer.h"\n', "room src/text may not"),
    ("src/plan/a.cpp", '#include "src/device/cpu/cpu_ops.h"\n', "room src/plan may not"),
    ("src/plan/a.cpp", '#include "src/device/registry/make_device.h"\n', "room src/plan may not"),
    ("src/model/a.cpp", '#include "src/train/trainer.h"\n', "room src/model may not"),
    ("src/train/a.cpp", '#include "eval/score.h"\n', "room src/train may not"),
    ("quant/format/a.cpp", '#include "quant/method/quantize.h"\n', "room quant/format may not"),
    ("quant/coder/a.cpp", '#include "quant/format/unpack.h"\n', "room quant/coder may not"),
    ("quant/method/a.cpp", '#include "harness/recipe/recipe.h"\n', "room quant/method may not"),
    ("eval/a.cpp", '#include "src/train/trainer.h"\n', "room eval may not"),
    ("eval/score/a.cpp", '#include "quant/format/quant_model.h"\n', "room eval/score may not"),
    ("eval/learn/a.cpp", '#include "eval/score.h"\n', "room eval/learn may not"),
    ("eval/scorer/a.cpp", '#include "quant/method/seal.h"\n', "room eval/scorer may not"),
    ("harness/recipe/a.cpp", '#include "harness/command/cli.h"\n', "room harness/recipe may not"),
    ("harness/command/a.cpp", ' # include "kernels/dialect.h"\n', "room harness/command may not"),
    ("kernels/a.cu", '#include "src/base/rng.h"\n', "room kernels may not"),
    ("src/attic/a.cpp", "int x;\n", "lies in no room"),
    ("harness/recipe/a.h", "#include <nlohmann/json.hpp>\n", "a header includes"),
    ("src/base/a.h", "#include <zstd.h>\n", "a header includes"),
    ("src/model/a.cpp", "void f() { cudaMalloc(nullptr, 1); }\n", 'names "cudaMalloc"'),
    ("src/train/a.cpp", "\n/* x\n */ dnnl::engine e;\n", "src/train/a.cpp:3: names"),
    ("eval/a.cpp", "int r = MPI_Init(0, 0);\n", 'names "MPI_Init"'),
    ("quant/method/a.cpp", "ncclComm_t c;\n", 'names "ncclComm_t"'),
    ("train_gpt.cpp", '#include "harness/recipe/recipe.h"\n', "no comment says"),
    ("eval/a.cpp", '#include "src/device/comm/comm.h"\n', "room eval may not"),
    ("tests/x/a.cpp", "", "has the name of"),
    ("src/text/z.h", "struct Twice final {\n};\n", "the linker takes them for one"),
]
# Two rooms that may each include the other by the table would still be a circle.
CIRCLE = [("src/device/cpu/f.h", '#include "src/device/exact/g.h"\n'),
          ("src/device/exact/g.h", '#include "src/device/cpu/f.h"\n')]
CLEAN = [
    ("src/model/b.cpp", '#include "src/device/device.h"\n#include <fmt/format.h>\n// a cudaGraph on GPUs\n'
     'const char* kName = "cuda:0";\n'),
    ("eval/c.cpp", '#include "quant/format/unpack.h"\n'),
    ("src/base/twice.h", "struct Twice {\n};\nstruct Other;\n"),
    ("kernels/d.cu", '#include "kernels/bf16.h"\n'),
    ("train_gpt.cpp", '#include "harness/recipe/recipe.h"  // Recipe\n'),
    ("src/device/cuda/e.cpp", '#include "kernels/rmsnorm.h"\nvoid f() { cudaMalloc(nullptr, 1); }\n'),
]


def write_tree(root, files):
    for path, text in files:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def test_self():
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        write_tree(pathlib.Path(folder), CLEAN)
        problems += [f"false alarm: {p}" for p in check_tree(pathlib.Path(folder))]
    for path, text, expected in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            write_tree(root, CLEAN + [("quant/coder/a.cpp", "")] if path.startswith("tests/") else CLEAN)
            write_tree(root, [(path, text)])
            found = check_tree(root)
            if len(found) != 1 or expected not in found[0]:
                problems.append(f"planted in {path}: {text!r}: expected {expected!r}, found {found}")
    with tempfile.TemporaryDirectory() as folder:
        write_tree(pathlib.Path(folder), CIRCLE)
        if sum("a circle" in problem for problem in check_tree(pathlib.Path(folder))) != 2:
            problems.append("a circle of two rooms was not found")
    return problems


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    problems = test_self() if sys.argv[1] == "--self" else check_tree(pathlib.Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    if sys.argv[1] != "--self":
        print_summary(pathlib.Path(sys.argv[1]))
    print(f"layering: {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
