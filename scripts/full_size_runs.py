#!/usr/bin/env python3
"""Runs published recipes at full size for a few steps of a small batch on this machine: train, pack under the cap with code, open
the file again, score its text. Prints a table for docs/full_size.md; fails when one of it does not hold.

  full_size_runs.py PROGRAM --text TRAIN.jsonl --val VAL.jsonl --tokenizers FOLDER [--steps 3] [--tokens 4096] [--only NAME...]

FOLDER holds fineweb_<V>_bpe.model of the vocabularies, V of model.vocab_size, and fineweb_<V>_caseops.model of those with the operators of
case; one that it lacks is made of the text. All keys but those of data, budget and batch are the recipes' own. What is
scored is the head of VAL, so many tokens; of recipes that learn by document that of its documents of 1,300 to 2,500 characters, so that so
few tokens hold several, about equally long, which are scored side by side.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import tomllib

RECIPES = [  # the seeds of the project, and the record that its defaults are
    "2026-03-23_LeakyReLU_LegalTTT_ParallelMuon", "2026-03-21_PR398_11L_EMA", "2026-03-28_PR1031_MTP2_Funnel",
    "2026-03-28_PR1033_Complementary_NgramMixer", "AOMTS_base", "AOMTS_tst_2mtp", "TST_2605.06546_s6_r30",
    "2026-04-05_SP8192_GPTQ_SDClip_Loop45", "2026-04-13_SP8192_Lanes_PhasedLoRA", "2026-04-27_SP8192_CaseOps_SparseGate"]
CAP_BYTES = 16_000_000
CODED_SHARE = 1e-3  # a file is longer than the bits that were metered by its head and the coder's last word
SHARD_HEADER_BYTES = 1024  # 256 int32: magic, version, tokens


def call(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, words))}\n{done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def cut_shard(path, tokens):
    """The first tokens of a shard as a shard."""
    data = path.read_bytes()
    header = bytearray(data[:SHARD_HEADER_BYTES])
    header[8:12] = tokens.to_bytes(4, "little")
    out = path.parent / "head" / path.name
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(bytes(header) + data[SHARD_HEADER_BYTES:SHARD_HEADER_BYTES + 2 * tokens])
    return out


class Text:
    """Shards of a vocabulary, made when first asked for."""

    def __init__(self, options, scratch):
        self.options, self.scratch, self.made = options, scratch, {}

    def documents_alike(self):
        """VAL's documents that are about equally long."""
        path = self.scratch / "alike.jsonl"
        lines = self.options.val.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if 1300 <= len(json.loads(line)["text"]) <= 2500))
        return path

    def shards(self, vocab, case_ops, by_document):
        kind = f"{vocab}_caseops" if case_ops else f"{vocab}_bpe"
        made = kind + "_alike" * by_document
        if made not in self.made:
            program, folder = self.options.program, self.scratch / f"text{made}"
            with_operators = ["--case-ops"] if case_ops else []
            model = self.options.tokenizers / f"fineweb_{kind}.model"
            if not model.exists():
                model = self.scratch / f"own_{kind}.model"
                call(program, "tokenizer", "train", self.options.text, "--vocab-size", vocab, "--out", model, *with_operators)
            val = self.documents_alike() if by_document else self.options.val
            for text, split in ((self.options.text, "train"), (val, "val")):
                call(program, "tokenize", text, "--tokenizer", model, "--out", folder, "--name", "t", "--val-every", 0, "--split", split,
                     *with_operators)
            for shard in folder.glob("t_val_*.bin"):  # with the bytes of tokens, where there are operators
                cut_shard(shard, self.options.tokens + 1)
            self.made[made] = [f"data.train_shards={folder}/t_train_0*.bin", f"data.val_shards={folder}/head/t_val_0*.bin",
                               f"data.tokenizer={model}"]
        return self.made[made]


def try_recipe(options, text, name, scratch):
    path, folder = pathlib.Path("records/10min_16mb") / name / "recipe.toml", scratch / name
    recipe = tomllib.loads(path.read_text())
    vocab, seq_len = recipe["model"].get("vocab_size", 1024), recipe["train"].get("seq_len", 2048)
    by_document = recipe.get("ttt", {}).get("by_document", False)
    explained = call(options.program, "recipe", "explain", path)
    parameters = int(re.search(r"parameters +([0-9,]+)", explained).group(1).replace(",", ""))
    words = ["run", path, "--out", folder, "--fresh"]
    for assignment in [*text.shards(vocab, recipe.get("eval", {}).get("case_ops", False), by_document), f"train.max_steps={options.steps}", "train.wallclock_s=0", f"train.batch_tokens={seq_len}",
                       f"train.micro_batch_tokens={seq_len}", "train.gradient_leaves=1", f"quant.calibration_tokens={4 * seq_len}",
                       "train.checkpoint_every_s=0", "train.lr_warmup_steps=0", f"ttt.batch_tokens={seq_len}", "ttt.gradient_leaves=1"]:
        words += ["--set", assignment]
    begin = time.monotonic()
    call(options.program, *words)
    seconds = time.monotonic() - begin
    record = json.loads((folder / "submission.json").read_text())
    (artifact,) = folder.glob("final_model.*.bin")
    total = artifact.stat().st_size + (folder / "code.zpaq").stat().st_size
    if total != record["bytes_total"] or total > CAP_BYTES or record["model_params"] != parameters or record["train_steps"] != options.steps:
        sys.exit(f"failed: {name} has {total} bytes, of {CAP_BYTES}, and says {record}")
    # In another process, from the file alone.
    again = call(options.program, "eval", artifact, "--recipe", folder / "recipe.toml")
    bpb = float(re.findall(r"val_bpb:? ?([0-9.]+)", again)[-1])
    at_once = max([1, *map(int, re.findall(r" at_once:([0-9]+)", again))])
    if by_document and recipe.get("mix", {}).get("kind", "none") == "none" and at_once == 1:
        sys.exit(f"failed: {name} learns by document, but scored one after another: {again}")
    if abs(bpb / record["val_bpb"] - 1) > CODED_SHARE:
        sys.exit(f"failed: {name} scored {record['val_bpb']}, opened again {bpb}")
    return [name, f"{parameters:,}", f"{artifact.stat().st_size:,}", f"{total - artifact.stat().st_size:,}", f"{total:,}", f"{options.steps}",
            f"{record['step_avg_ms'] / 1000:.1f}", f"{at_once}", f"{record['eval_time_s']:.0f}", f"{seconds:.0f}", f"{bpb:.4f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--val", type=pathlib.Path, required=True)
    parser.add_argument("--tokenizers", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--only", nargs="*", default=RECIPES)
    options = parser.parse_args()
    print("# Published recipes at full size\n")
    print(f"Written by `scripts/full_size_runs.py` on two cores: {options.steps} steps of one row each, packed under {CAP_BYTES:,} bytes with code, opened again by")
    print(f"another process and scored on {options.tokens:,} tokens, as the recipe scores; where it learns by document, of documents of 1,300 to 2,500 characters,")
    print("several side by side. So short a training says nothing of a score; weights that are hardly trained take fewer bytes than trained ones.\n")
    print("| recipe | parameters | model, bytes | code, bytes | together | steps | s a step | documents at once | scoring, s | all, s | bits per byte |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        text = Text(options, pathlib.Path(folder))
        for name in options.only:
            print("| " + " | ".join(try_recipe(options, text, name, pathlib.Path(folder))) + " |", flush=True)


if __name__ == "__main__":
    main()
