#!/usr/bin/env python3
"""Checks that the code which docs/tour.md quotes stands in the sources as quoted, and that the sections of documents which
comments cite exist.

  excerpts_test.py ROOT       check the tree
  excerpts_test.py --self     plant each violation in a scratch tree and see that it is caught

A fence of C++ follows a line `<!-- from src/train/trainer.cpp -->`. Its lines must stand in that file one after the other;
indentation is free, and a line `...` jumps ahead, never back. A fence of C++ without such a line is an error: nobody would
notice when it grows old. A citation is a document's name and a section, `formulas.md 2.4` or `formulas.md 4.2 C`: there must be a
heading in docs/ that begins so.
"""
import pathlib
import re
import sys
import tempfile

PAGES = ["docs/tour.md"]
SOURCES = ["*.cpp", "*.h", "*.cu", "*.py", "*.cmake"]
FOLDERS = ["src", "kernels", "quant", "eval", "harness", "tests", "cmake", "scripts"]
CITATION = re.compile(r"\b([a-z_]+\.md) (\d+(?:\.\d+)?)(?: ([A-Z])\b)?")
MARK = re.compile(r"<!-- from (\S+) -->")


def read_fences(text):
    """(line number, source file or None, lines) of every fence of C++."""
    lines = text.split("\n")
    mark, i = None, 0
    while i < len(lines):
        if lines[i].startswith("```"):
            end = next(k for k in range(i + 1, len(lines)) if lines[k].startswith("```"))
            if lines[i][3:].strip() == "cpp" or mark:
                yield i + 1, mark, lines[i + 1:end]
            mark, i = None, end + 1
            continue
        found = MARK.fullmatch(lines[i].strip())
        mark = found[1] if found else mark if not lines[i].strip() else None
        i += 1


def find_run(run, source, begin):
    """Where the lines of run stand in source at or behind begin; the line behind them, or None."""
    for at in range(begin, len(source) - len(run) + 1):
        if source[at:at + len(run)] == run:
            return at + len(run)
    return None


def check_excerpt(excerpt, source):
    """The first quoted line of the part that is not there, or None."""
    source = [line.strip() for line in source.split("\n")]
    at, run = 0, []
    for line in [*(line.strip() for line in excerpt), "..."]:
        if line != "...":
            run.append(line)
            continue
        if run:
            at = find_run(run, source, at)
            if at is None:
                return run[0]
        run = []
    return None


def read_headings(page):
    return {re.sub(r"^#+ ", "", line) for line in page.read_text().split("\n") if line.startswith("#")}


def check_citations(root):
    problems = []
    headings = {page.name: read_headings(page) for page in (root / "docs").glob("*.md")}
    files = [file for folder in FOLDERS for pattern in SOURCES for file in sorted((root / folder).rglob(pattern))]
    for file in [*files, *root.glob("*.cpp")]:
        if file.name == "excerpts_test.py":  # cites what is not there
            continue
        # A comment may break the line between name and section.
        text = re.sub(r"\n\s*(//|#)\s*", " ", file.read_text(errors="replace"))
        for page, section, letter in CITATION.findall(text):
            wanted = f"{section} {letter}." if letter else section
            if not any(re.match(re.escape(wanted) + r"( |$)", heading) for heading in headings.get(page, ())):
                problems.append(f"{file.relative_to(root)} cites \"{page} {wanted}\", which is not in docs/")
    return problems


def check_excerpts(root):
    problems = []
    for page in PAGES:
        for number, file, lines in read_fences((root / page).read_text()):
            if file is None:
                problems.append(f"{page}:{number}: quoted code without a line <!-- from FILE --> before it")
            elif not (root / file).is_file():
                problems.append(f"{page}:{number}: there is no file {file}")
            elif missing := check_excerpt(lines, (root / file).read_text()):
                problems.append(f"{page}:{number}: {file} does not have the part that begins \"{missing}\" there")
    return problems


def check(root):
    return check_excerpts(root) + check_citations(root)


def check_self():
    source = "int f() {\n  a();\n\n  b();\n  c();\n}\n"
    pages = {
        "<!-- from f.cpp -->\n\n```cpp\nint f() {\n    a();\n\n    b();\n...\n}\n```\n": "",
        "```\nno code of ours\n```\n```bash\nls\n```\n": "",
        "```cpp\nint f() {\n```\n": "without a line",
        "<!-- from f.cpp -->\nWords between.\n```cpp\nint f() {\n```\n": "without a line",
        "<!-- from g.cpp -->\n```cpp\nint f() {\n```\n": "no file g.cpp",
        "<!-- from f.cpp -->\n```cpp\nint f() {\nb();\n```\n": 'begins "int f() {"',   # a line left out
        "<!-- from f.cpp -->\n```cpp\nc();\n...\na();\n```\n": 'begins "a();"',         # backwards
        "<!-- from f.cpp -->\n```cpp\na();\n...\nb(1);\n```\n": 'begins "b(1);"',       # changed
        "<!-- from f.cpp -->\n```\nb(1);\n```\n": 'begins "b(1);"',                     # marked, whatever its language
    }
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "docs").mkdir()
        (root / "f.cpp").write_text(source)
        for text, expected in pages.items():
            (root / "docs/tour.md").write_text(text)
            problems = check(root)
            if (expected == "") != (not problems) or not all(expected in problem for problem in problems):
                sys.exit(f"excerpts_test: {text!r} gives {problems}, expected \"{expected}\"")
        (root / "docs/tour.md").write_text("")
        (root / "docs/laws.md").write_text("# Laws\n\n### 2.1 One\n\n#### 2.1 C. Two\n")
        (root / "src").mkdir()
        for text, expected in {
            "// (laws.md 2.1), laws.md 2.1 C": [],
            "// as laws.md\n// 2.1 C says": [],
            "// laws.md 2.1 D": ['"laws.md 2.1 D."'],
            "// laws.md 2": ['"laws.md 2"'],
            "// lost_laws.md 2.1": ['"lost_laws.md 2.1"'],
        }.items():
            (root / "src/g.h").write_text(text)
            problems = check(root)
            if len(problems) != len(expected) or not all(e in p for e, p in zip(expected, problems)):
                sys.exit(f"excerpts_test: {text!r} gives {problems}, expected {expected}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self":
        return check_self()
    problems = check(pathlib.Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
