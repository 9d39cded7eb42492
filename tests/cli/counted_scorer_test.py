#!/usr/bin/env python3
"""The program that the counted sources build must print the digits of `train_gpt eval`: a run of seconds on cpu:exact, scored
by both.

  counted_scorer_test.py PROGRAM ROOT SCORER CODER [KEY=VALUE...]

CODER is the one that the scorer was built for; the keys are set for the run.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def run(words, folder, program):
    # Nothing else of the caller's environment: recipe keys may come from variables such as SEED.
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "HOME": folder}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{words[0]}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    program, root, scorer = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    coder, *keys = sys.argv[4:]
    settings = " ".join(f"--set '{key}'" for key in keys)
    with tempfile.TemporaryDirectory() as folder:
        case_ops = "case_ops=1; " if "eval.case_ops=true" in keys else ""
        run(["bash", "-ec", f'{case_ops}source "{root}/tests/cli/tiny_corpus.sh"; train_gpt run recipe.toml --out record '
             f"--set track.device=cpu:exact --set quant.coder={coder} {settings} > log.txt 2>&1"], folder, program)
        artifact = "record/final_model.int6.bin"
        evaluated = run([program, "eval", artifact, "--recipe", "record/recipe.toml"], folder, program)
        shards = sorted(path.relative_to(folder) for path in pathlib.Path(folder).glob("shards/corpus_val_*.bin"))
        counted = run([scorer, artifact, "m.model", *shards], folder, program)
        run([program, "pack", "record/final_model.safetensors", "other.bin", "--recipe", "record/recipe.toml",
             "--set", f"quant.coder={'own' if coder == 'zstd' else 'zstd'}"], folder, program)
        packed = subprocess.run([scorer, "other.bin", "m.model", *shards], cwd=folder, capture_output=True, text=True)
        other = subprocess.run([scorer, artifact, "recipe.toml", *shards], cwd=folder, capture_output=True, text=True)
    # The counted text has numbers for the words of errors, one for each.
    for what, refused in ("a foreign tokenizer", other), ("an artifact of another coder", packed):
        if refused.returncode != 1 or not re.fullmatch(r"score_artifact: refused: \d+\n", refused.stderr):
            sys.exit(f"{what}: exit {refused.returncode}, {refused.stderr}")
    if other.stderr == packed.stderr:
        sys.exit(f"two errors have one number: {other.stderr}")
    want, have = (re.search(r"val_loss:(\S+) val_bpb:(\S+)", text) for text in (evaluated, counted))
    if not want or not have or want.groups() != have.groups():
        sys.exit(f"train_gpt eval:    {evaluated}\ncounted scorer: {counted}")
    print(have.group())


main()
