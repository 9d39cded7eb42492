#!/usr/bin/env python3
"""What each quantiser loses on the weights of a finished run: packs them by each, scores each artifact, and prints a table.

  compare_quantisers.py PROGRAM RECORD [--set KEY=VALUE...]

RECORD is a folder that `train_gpt run` left, with final_model.safetensors and its log; --set says where the text is. The score
is that of the log's DIAGNOSTIC post_ema line, windows without overlap and nothing learnt or mixed, and so is every other: the difference is
quantisation's alone. Rows above the cap are not artifacts that count; they show what their constants cost.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

QUANTISERS = {
    "by sensitivity, GPTQ, the cap filled": [],
    "by sensitivity, nearest, the cap filled": ["quant.rounding=nearest"],
    "SDClip, GPTQ, the cap filled": ["quant.scales=sdclip"],
    "SDClip, GPTQ, its published constants": ["quant.scales=sdclip", "quant.fill_cap=false"],
    "SDClip by the Hessian, GPTQ, the cap filled": ["quant.scales=sdclip_hessian"],
    "GPTQ-lite's clip search a row, nearest, the cap filled": ["quant.scales=gptq_lite_row", "quant.rounding=nearest"],
    "GPTQ-lite's clip search a row, GPTQ, the cap filled": ["quant.scales=gptq_lite_row"],
    "the row's largest weight, nearest, int6": ["quant.scales=row_max", "quant.rounding=nearest", "quant.fill_cap=false"],
    "the same, packed by zstd": ["quant.scales=row_max", "quant.rounding=nearest", "quant.fill_cap=false", "quant.coder=zstd"],
    "the same, packed by lzma": ["quant.scales=row_max", "quant.rounding=nearest", "quant.fill_cap=false", "quant.coder=lzma"],
}


def run(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr[-2000:]}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("record", type=pathlib.Path)
    parser.add_argument("--set", action="append", default=[], dest="sets")
    args = parser.parse_args()
    log = next(args.record.glob("train_seed*.log")).read_text()
    unquantised = float(re.search(r"DIAGNOSTIC post_ema val_loss:[0-9.]+ val_bpb:([0-9.]+)", log)[1])
    recipe = args.record / "recipe.toml"
    context = re.search(r"^context = (\d+)", recipe.read_text(), re.M)[1]
    plain = ["ttt.kind=none", "mix.kind=none", f"eval.stride={context}", *args.sets]
    print(f"Before quantisation: {unquantised:.4f} bits per byte.\n")
    print("| quantiser | bytes, code included | bits per byte | lost |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, keys in QUANTISERS.items():
            artifact = pathlib.Path(folder) / "model.bin"
            sets = [word for key in [*plain, *keys] for word in ("--set", key)]
            run(args.program, "pack", args.record / "final_model.safetensors", artifact, "--recipe", recipe, *sets)
            said = run(args.program, "eval", artifact, "--fast", "--recipe", recipe, *sets)
            score = float(re.search(r"val_bpb:([0-9.]+)", said)[1])
            size = run(args.program, "size", artifact)
            total = re.search(r"total[^0-9]*([0-9,]+)", size, re.I)[1]
            print(f"| {name} | {total} | {score:.4f} | {score - unquantised:+.4f} |", flush=True)


if __name__ == "__main__":
    main()
