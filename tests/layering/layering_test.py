#!/usr/bin/env python3
"""Checks the layers of docs/tour.md over the whole tree: who includes whom, no third-party header in a header, no back
end's name above src/device/, unique file names, an explanation behind each include of train_gpt.cpp.

  layering_test.py ROOT       check a tree
  layering_test.py --self     plant each violation in a scratch tree and see that it is caught
"""
import pathlib
import re
import sys
import tempfile

# Folder -> what its files may include. The first entry that a path starts with counts, so subfolders stand first.
# "folder/" allows everything below it, "folder/*" only the files in it, anything else one file.
LAYERS = {
    "src/base/": ["src/base/"],
    "src/device/": ["src/base/", "src/device/", "kernels/"],
    "src/plan/": ["src/base/", "src/device/*", "src/plan/"],
    "src/data/": ["src/base/", "src/data/"],
    "src/model/": ["src/base/", "src/device/*", "src/plan/", "src/model/"],
    "src/train/": ["src/base/", "src/device/*", "src/plan/", "src/model/", "src/data/", "src/train/"],
    "quant/": ["src/base/", "src/device/*", "src/plan/", "src/model/", "quant/"],
    # The counted scorer is a program of its own, linked with the CPU back end and no other.
    "eval/scorer/": ["src/base/", "src/device/*", "src/device/cpu/cpu_device.h", "src/data/", "eval/", "quant/unpack.h"],
    "eval/": ["src/base/", "src/device/*", "src/plan/", "src/model/", "src/data/", "eval/", "quant/unpack.h"],
    "src/run/": ["src/base/", "src/device/*", "src/plan/", "src/model/", "src/data/", "src/train/", "quant/", "eval/",
                 "src/run/"],
    "kernels/": ["kernels/", "src/base/bf16.h"],
    "train_gpt.cpp": ["src/base/", "src/device/*", "src/plan/", "src/model/", "src/data/", "src/train/", "quant/",
                      "eval/", "src/run/"],
}
ABOVE_DEVICE = ("src/plan/", "src/data/", "src/model/", "src/train/", "quant/", "eval/", "src/run/", "train_gpt.cpp")
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


def list_sources(root):
    """Paths relative to root. Hidden and build folders are no part of the tree."""
    folders = ["src", "kernels", "quant", "eval", "tests", "scripts"]
    found = [path for folder in folders for path in (root / folder).rglob("*") if path.suffix in NAMED_SUFFIXES]
    found += [path for path in root.glob("*.cpp")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def is_allowed(included, allowed):
    for rule in allowed:
        if rule.endswith("/*") and included.rpartition("/")[0] == rule[:-2]:
            return True
        if included == rule or (rule.endswith("/") and included.startswith(rule)):
            return True
    return False


def check_includes(path, text):
    layer = next((prefix for prefix in LAYERS if path.startswith(prefix)), None)
    for match in INCLUDE.finditer(text):
        bracket, included, rest = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if bracket == '"' and layer and not is_allowed(included, LAYERS[layer]):
            yield f'{path}:{line}: includes "{included}", which its layer {layer} may not; see docs/tour.md'
        is_header = path.endswith((".h", ".cuh"))
        if (bracket == "<" and layer and is_header and FOREIGN_HEADER.search(included)
                and (path, included) not in FOREIGN_HEADER_ALLOWED):
            yield f"{path}:{line}: a header includes <{included}>; include it in a .cpp only"
        if path == "train_gpt.cpp" and bracket == '"' and "//" not in rest:
            yield f'{path}:{line}: no comment says what "{included}" gives'


def check_names(path, text):
    if not path.startswith(ABOVE_DEVICE):
        return
    code = NOT_CODE.sub(lambda m: "\n" * m.group().count("\n"), text)
    for match in BACK_END_NAME.finditer(code):
        line = code.count("\n", 0, match.start()) + 1
        yield f'{path}:{line}: names "{match.group()}"; only src/device/ knows back ends'


def check_tree(root):
    problems = []
    first_with_name = {}
    for path in list_sources(root):
        text = (root / path).read_text(encoding="utf-8", errors="replace")
        if pathlib.PurePath(path).suffix in SOURCE_SUFFIXES:
            problems += check_includes(path, text)
            problems += check_names(path, text)
        name = pathlib.PurePath(path).name
        if name in first_with_name:
            problems.append(f"{path}: has the name of {first_with_name[name]}; file names are unique")
        first_with_name.setdefault(name, path)
    return problems


# Path, content, a part of the message that must come.
PLANTED = [
    ("src/base/a.h", '#include "src/device/device.h"\n', "layer src/base/"),
    ("src/data/a.cpp", '#include "src/model/model.h"\n', "layer src/data/"),
    ("src/plan/a.cpp", '#include "src/device/cpu/cpu_ops.h"\n', "layer src/plan/"),
    ("src/model/a.cpp", '#include "src/train/trainer.h"\n', "layer src/model/"),
    ("src/train/a.cpp", '#include "eval/score.h"\n', "layer src/train/"),
    ("eval/a.cpp", '#include "src/train/trainer.h"\n', "layer eval/"),
    ("eval/a.cpp", '#include "quant/artifact.h"\n', "layer eval/"),
    ("eval/scorer/a.cpp", '#include "quant/artifact.h"\n', "layer eval/scorer/"),
    ("quant/a.cpp", '#include "src/run/recipe.h"\n', "layer quant/"),
    ("kernels/a.cu", '#include "src/base/rng.h"\n', "layer kernels/"),
    ("src/run/a.cpp", ' # include "kernels/dialect.h"\n', "layer src/run/"),
    ("src/run/a.h", "#include <nlohmann/json.hpp>\n", "a header includes"),
    ("src/base/a.h", "#include <zstd.h>\n", "a header includes"),
    ("src/model/a.cpp", "void f() { cudaMalloc(nullptr, 1); }\n", 'names "cudaMalloc"'),
    ("src/train/a.cpp", "\n/* x\n */ dnnl::engine e;\n", "src/train/a.cpp:3: names"),
    ("eval/a.cpp", "int r = MPI_Init(0, 0);\n", 'names "MPI_Init"'),
    ("quant/a.cpp", "ncclComm_t c;\n", 'names "ncclComm_t"'),
    ("train_gpt.cpp", '#include "src/run/recipe.h"\n', "no comment says"),
    ("tests/x/a.cpp", "", "has the name of"),
]
CLEAN = [
    ("src/model/b.cpp", '#include "src/device/device.h"\n#include <fmt/format.h>\n// a cudaGraph on GPUs\n'
     'const char* kName = "cuda:0";\n'),
    ("eval/c.cpp", '#include "quant/unpack.h"\n'),
    ("kernels/d.cu", '#include "src/base/bf16.h"\n'),
    ("train_gpt.cpp", '#include "src/run/recipe.h"  // Recipe\n'),
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
            write_tree(root, CLEAN + [("quant/a.cpp", "")] if path.startswith("tests/") else CLEAN)
            write_tree(root, [(path, text)])
            found = check_tree(root)
            if len(found) != 1 or expected not in found[0]:
                problems.append(f"planted in {path}: {text!r}: expected {expected!r}, found {found}")
    return problems


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    problems = test_self() if sys.argv[1] == "--self" else check_tree(pathlib.Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    print(f"layering: {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
