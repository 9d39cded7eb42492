#!/usr/bin/env python3
"""Builds the default training corpus: about 20 MB of English prose out of Debian packages.

Every Debian or Ubuntu machine can fetch the same text from its own mirror, so a first run needs no
account and no download from a stranger. Packages are fetched with apt-get (no root, nothing is
installed), unpacked, stripped of markup, code and tables (corpus_sources.py), and written as
OUT/train.jsonl, OUT/val.jsonl (one {"text", "source", "key"} a line) and OUT/manifest.json.
The same packages give the same bytes, for any number of cores.

A document is in val when sha256(key) mod 20 is 0. The key names a page, a chapter or a block of a
file, so parts of one page never stand on both sides; and a paragraph is kept only once in the whole
corpus.
"""
import argparse
import collections
import glob
import hashlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time

import corpus_sources

VAL_EVERY = 20
PIECE_CHARS = 16_000  # long pages are cut at the paragraph that passes this
MIN_DOCUMENT_CHARS = 200
UNIQUE_CHARS = 30  # shorter paragraphs may repeat: chapter titles, short answers in a dialogue
MIN_BYTES = 15_000_000  # less means that a package changed its layout

# names: one a release of Debian or Ubuntu; the first that apt knows is taken.
Package = collections.namedtuple("Package", "names source")
PACKAGES = [
    Package(["r-cran-janeaustenr"], corpus_sources.AUSTEN),
    Package(["fortunes"], corpus_sources.FORTUNES),
    Package(["perl-doc"], corpus_sources.PERL),
    Package(["dict-foldoc"], corpus_sources.DICTIONARY),
    Package([f"postgresql-doc-{v}" for v in (15, 17, 16, 14)], corpus_sources.POSTGRESQL),
    Package([f"python3.{v}-doc" for v in (11, 13, 12, 10, 14)], corpus_sources.PYTHON),
]


def find_deb(folder, names):
    for name in names:
        found = sorted(glob.glob(os.path.join(glob.escape(folder), name + "_*.deb")))
        if found:
            return found[-1]
    return None


def fetch_package(names, folder):
    """Downloads the first package of the list that apt knows; gives its path."""
    problem = ""
    for name in names:
        try:
            done = subprocess.run(["apt-get", "-qq", "download", name], cwd=folder,
                                  capture_output=True, text=True)
        except FileNotFoundError:
            sys.exit("cannot find apt-get: the default corpus comes from Debian packages; fetch "
                     "them elsewhere and give --debs, or use a corpus of your own")
        deb = find_deb(folder, [name])
        if done.returncode == 0 and deb:
            return deb
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        problem = problem or "; ".join(errors)
    sys.exit(f'cannot download package: "{names[0]}" ({problem[-300:]}); check the network, run '
             '"apt-get update", or fetch the .deb files elsewhere and give --debs')


def choose_packages(words):
    """The packages of a comma-separated list of their first names, in the order of PACKAGES.
    All of them without a list."""
    if not words:
        return PACKAGES
    names = words.split(",")
    known = [package.names[0] for package in PACKAGES]
    for name in names:
        if name not in known:
            sys.exit(f'unknown package: "{name}"; --packages takes some of {", ".join(known)}')
    return [package for package in PACKAGES if package.names[0] in names]


def locate_debs(args, packages, scratch):
    """Paths of the packages, downloaded when they are not there yet."""
    folder = args.debs or args.cache or scratch
    os.makedirs(folder, exist_ok=True)
    debs = []
    for package in packages:
        deb = find_deb(folder, package.names)
        if not deb and args.debs:
            sys.exit(f'no package in folder: "{package.names[0]}_*.deb" is not in "{args.debs}"; '
                     f'fetch it with "apt-get download {package.names[0]}"')
        if not deb:
            print(f"downloading {package.names[0]}", file=sys.stderr, flush=True)
        debs.append(deb or fetch_package(package.names, folder))
    return debs


def mark_paragraph(paragraph):
    """What two paragraphs share when their letters are the same; None for those that may repeat."""
    if len(paragraph) < UNIQUE_CHARS:
        return None
    letters = re.sub(r"[^a-z]", "", paragraph.lower())
    return hashlib.sha256(letters.encode()).digest()


def keep_new(paragraphs, seen):
    """Leaves out (paragraph, mark) whose mark stood anywhere before."""
    for paragraph, mark in paragraphs:
        if mark:
            if mark in seen:
                continue
            seen.add(mark)
        yield paragraph


def cut_pieces(paragraphs):
    piece, chars = [], 0
    for paragraph in paragraphs:
        piece.append(paragraph)
        chars += len(paragraph) + 1
        if chars >= PIECE_CHARS:
            yield "\n".join(piece)
            piece, chars = [], 0
    yield "\n".join(piece)


def count_bytes(documents):
    return sum(len(d["text"].encode()) for d in documents)


def compute_sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def unpack_deb(job):
    deb, root = job
    os.makedirs(root)
    subprocess.run(["dpkg-deb", "-x", deb, root], check=True)


def read_part(job):
    """What one part of a package gives: a list of (key, [(paragraph, mark)])."""
    _, source, root, part = job
    return [(key, [(p, mark_paragraph(p)) for p in paragraphs])
            for key, paragraphs in source.read_part(root, part)]


class Progress:
    """On a terminal one line that is rewritten, elsewhere a line every few seconds."""

    QUIET_S = 5

    def __init__(self):
        self.last_s = self.start_s = time.monotonic()

    def show(self, text, is_last=False):
        if sys.stderr.isatty():
            print(f"\r{text}\x1b[K", end="\n" if is_last else "", file=sys.stderr, flush=True)
        elif is_last or time.monotonic() - self.last_s >= self.QUIET_S:
            self.last_s = time.monotonic()
            print(text, file=sys.stderr, flush=True)


def read_packages(packages, debs, scratch):
    """All documents, and what each package gave. Parts are read on all cores; what a paragraph stood
    in before is decided here, in their order."""
    documents, report, seen = [], {}, set()
    roots = [os.path.join(scratch, "unpacked", p.names[0]) + "/" for p in packages]
    progress = Progress()
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        pool.map(unpack_deb, zip(debs, roots), chunksize=1)
        jobs = [(i, package.source, root, part)
                for i, (package, root) in enumerate(zip(packages, roots))
                for part in package.source.list_parts(root)]
        counts = [[0, 0] for _ in packages]  # documents, bytes
        for done, (job, read) in enumerate(zip(jobs, pool.imap(read_part, jobs, chunksize=4)), 1):
            source = os.path.basename(debs[job[0]]).split("_")[0]
            for key, paragraphs in read:
                for text in cut_pieces(keep_new(paragraphs, seen)):
                    if len(text) >= MIN_DOCUMENT_CHARS:
                        documents.append({"text": text, "source": source, "key": key})
                        counts[job[0]][0] += 1
                        counts[job[0]][1] += len(text.encode())
            megabytes = sum(c[1] for c in counts) / 1e6
            progress.show(f"{done} of {len(jobs)} pages read, {len(documents)} documents, "
                          f"{megabytes:.1f} MB, {time.monotonic() - progress.start_s:.0f} s",
                          is_last=done == len(jobs))
    for deb, (number, size) in zip(debs, counts):
        report[os.path.basename(deb).split("_")[0]] = {
            "deb": os.path.basename(deb), "deb_sha256": compute_sha256(deb),
            "documents": number, "text_bytes": size}
    return documents, report


def is_val(document):
    return int(hashlib.sha256(document["key"].encode()).hexdigest()[:8], 16) % VAL_EVERY == 0


def write_file(path, data):
    with open(path + ".tmp", "wb") as file:
        file.write(data)
    os.replace(path + ".tmp", path)


def write_split(path, documents):
    lines = (json.dumps(d, ensure_ascii=False) + "\n" for d in documents)
    write_file(path, "".join(lines).encode())
    return {"documents": len(documents), "text_bytes": count_bytes(documents),
            "sha256": compute_sha256(path)}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for the three files")
    parser.add_argument("--cache", help="folder that keeps downloaded .deb files for the next time")
    parser.add_argument("--packages", help="some alone, with commas between: some of "
                        + ",".join(package.names[0] for package in PACKAGES))
    parser.add_argument("--debs", help="folder with the .deb files; nothing is downloaded")
    return parser.parse_args()


def main():
    args = parse_arguments()
    packages = choose_packages(args.packages)
    os.makedirs(args.out, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        documents, report = read_packages(packages, locate_debs(args, packages, scratch), scratch)
    total = count_bytes(documents)
    if total < MIN_BYTES and packages == PACKAGES:
        sys.exit(f"corpus too small: {total} bytes, at least {MIN_BYTES} were expected; "
                 "a package changed its layout, adapt corpus_sources.py")
    # A fixed shuffle, so that a prefix of the corpus is a fair sample of it.
    documents.sort(key=lambda d: hashlib.sha256((d["key"] + "\0" + d["text"]).encode()).digest())
    splits = {"train.jsonl": [d for d in documents if not is_val(d)],
              "val.jsonl": [d for d in documents if is_val(d)]}
    files = {name: write_split(os.path.join(args.out, name), split)
             for name, split in splits.items()}
    manifest = json.dumps({"packages": report, "files": files}, indent=1) + "\n"
    write_file(os.path.join(args.out, "manifest.json"), manifest.encode())
    print(manifest, end="")


if __name__ == "__main__":
    main()
