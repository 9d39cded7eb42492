#!/usr/bin/env python3
"""How train_gpt verify does on labelled record folders: precision and recall of every code, and of the verdicts.

  score_corpus.py PROGRAM [CORPUS] [--set A] [--list]

CORPUS (default: records_corpus/ in the folder that the environment variable PG_SHARED_DATA or --shared-data names) holds <set>/labels.json (id -> {"verdict", "findings": [{"code", "severity", "file", ...}]}), <set>/<id>/ and
log_index.tsv. A code counts once a folder, whatever its line. --list names the folders of each difference. Exits with 1 when a
folder that is labelled clean is rejected or one that is labelled reject is not, and with 77 when the corpus is not there.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys

SKIPPED = 77
# Codes of the program's own, which no label can have.
OWN_CODES = {"code_not_at_hand"}


def verify(program, corpus, name, ids):
    command = [program, "verify", "--json", "--known-logs", str(corpus / "log_index.tsv")]
    result = subprocess.run(command + [str(corpus / name / i) for i in ids], capture_output=True, text=True, check=False)
    reports = [json.loads(line) for line in result.stdout.splitlines()]
    if len(reports) != len(ids):
        sys.exit(f"{len(reports)} reports of {len(ids)} folders\n{result.stderr}")
    return dict(zip(ids, reports))


def severities(findings):
    """The highest severity of each code."""
    order = {"note": 0, "warn": 1, "reject": 2}
    highest = {}
    for finding in findings:
        if finding["code"] in OWN_CODES:
            continue
        if order[finding["severity"]] >= order[highest.get(finding["code"], "note")]:
            highest[finding["code"]] = finding["severity"]
    return highest


def share(part, whole):
    return f"{100 * part / whole:.0f} %" if whole else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("corpus", type=pathlib.Path, nargs="?")
    parser.add_argument("--shared-data", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--set", default="A")
    parser.add_argument("--list", action="store_true", help="name the folders of each difference")
    arguments = parser.parse_args()
    if arguments.corpus is None:
        arguments.corpus = pathlib.Path(os.environ.get("PG_SHARED_DATA", arguments.shared_data)) / "records_corpus"
    labels_file = arguments.corpus / arguments.set / "labels.json"
    if not labels_file.exists():
        print(f"no labelled corpus: {labels_file}; nothing was scored")
        return SKIPPED
    labels = json.loads(labels_file.read_text(encoding="utf-8"))
    reports = verify(arguments.program, arguments.corpus, arguments.set, sorted(labels))

    counts = collections.defaultdict(lambda: collections.Counter())
    lists = collections.defaultdict(lambda: collections.defaultdict(list))
    for i in sorted(labels):
        wanted, found = severities(labels[i]["findings"]), severities(reports[i]["findings"])
        for code in wanted.keys() | found.keys():
            kind = "hit" if code in wanted and code in found else "missed" if code in wanted else "extra"
            counts[code][kind] += 1
            lists[code][kind].append(i)
            if kind == "hit" and wanted[code] != found[code]:
                counts[code]["other severity"] += 1
                lists[code]["other severity"].append(f"{i} {wanted[code]}->{found[code]}")
    print("| code | labelled | found | precision | recall | other severity |\n|---|---|---|---|---|---|")
    for code in sorted(counts):
        c = counts[code]
        labelled, found = c["hit"] + c["missed"], c["hit"] + c["extra"]
        print(f"| `{code}` | {labelled} | {found} | {share(c['hit'], found)} | {share(c['hit'], labelled)} | {c['other severity']} |")
        if arguments.list:
            for kind in ("missed", "extra", "other severity"):
                if lists[code][kind]:
                    print(f"    {kind}: {', '.join(lists[code][kind])}")

    verdicts = collections.Counter((labels[i]["verdict"], reports[i]["verdict"]) for i in labels)
    print("\n| labelled | reject | warn | clean |\n|---|---|---|---|")
    for wanted in ("reject", "warn", "clean"):
        print(f"| {wanted} | {verdicts[wanted, 'reject']} | {verdicts[wanted, 'warn']} | {verdicts[wanted, 'clean']} |")
    defects = found = 0
    for i in labels:
        got = severities(reports[i]["findings"])
        for code, severity in severities(labels[i]["findings"]).items():
            if severity == "reject":
                defects += 1
                found += got.get(code) == "reject"
                if got.get(code) != "reject" and arguments.list:
                    print(f"reject-level defect not found: {i} {code} ({got.get(code)})")
    print(f"\nreject-level defects found as such: {found} of {defects}")
    wrong = [i for i in sorted(labels)
             if (labels[i]["verdict"] == "clean" and reports[i]["verdict"] == "reject")
             or (labels[i]["verdict"] == "reject" and reports[i]["verdict"] != "reject")]
    if wrong:
        print(f"verdict reject against the label: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
