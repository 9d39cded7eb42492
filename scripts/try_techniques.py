#!/usr/bin/env python3
"""Trains each technique by itself for a while on real text and looks whether it is alive: the loss falls, its own parameters
moved, and the log says that it is on. Prints a table for docs/techniques.md.

  try_techniques.py PROGRAM [--recipe records/cpu_10min_1mb/2026-11-22_baseline/recipe.toml] [--seconds 60] [--jobs 1]
                    [--only NAME...] [--set KEY=VALUE...] > docs/techniques.md

--set says where the text is (data.train_shards, data.val_shards, data.tokenizer). Fails when a technique is not alive.
What a technique gains is not asked here: that takes seeds, and steps of equal cost.
"""
import argparse
import array
import concurrent.futures
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

# Name: keys, parts of the names of its own exported parameters, what the log must say besides the keys.
TECHNIQUES = {
    "base": ([], [], []),
    "SmearGate v2, document fix": (["model.smear_gate=false", "model.token_smear=true"], ["token_smear.gate", "token_smear.scale"], []),
    "trigram": (["model.trigram=true"], ["bigram."], []),
    "value embedding on named layers": (["model.value_embed_dim=48", "model.value_embed_at=\"1,3\""], ["value_embed"], []),
    "hash and value projections by Muon": (["model.value_embed_dim=48", "model.value_embed_layers=3", "model.bigram_projection=muon",
                                            "model.value_projection=muon"], ["bigram.proj", "value_embed.proj"], []),
    "value residual, mean": (["model.value_residual=mean"], ["attn.v_scale", "attn.v_first_scale"], []),
    "value residual, sigmoid": (["model.value_residual=sigmoid"], ["attn.v_first_scale"], []),
    "value residual, scalar": (["model.value_residual=scalar"], ["attn.v_first_scale"], []),
    "value residual, first input": (["model.value_residual=first_input"], ["attn.v_first_scale"], []),
    "gated skips": (["model.skip_gates=true"], ["skips.0.gate", "skips.1.gate"], []),
    "gated attention, dense": (["model.attention_gate=gated"], ["attn.gate", "attn.gate_bias"], []),
    "attention output gate": (["model.attention_gate=output"], ["attn.gate"], []),
    "gated attention, from noise": (["model.attention_gate=gated_normal"], ["attn.gate"], []),
    "sparse attention gate": (["model.attention_gate=sparse"], ["attn.gate"], []),
    "parallel residuals, GPT-J": (["model.parallel_residual=gptj", "model.parallel_from=2"], [], []),
    "two lanes": (["model.parallel_residual=lanes", "model.parallel_from=3"], ["lanes."], []),
    "two lanes, one branch behind the other": (["model.parallel_residual=lanes_in_turn", "model.parallel_from=3"], ["lanes."], []),
    "MUDD connections": (["model.unet_skips=false", "model.resid_mix=false", "model.mudd_at=\"1,2,3\"", "model.mudd_local_at=\"1\"",
                          "model.mudd_value_at=\"2\""], [".stream", ".stream_share", ".value", ".value_share"], []),
    "paired heads": (["model.kv_heads=2", "model.heads=4", "model.paired_heads_at=\"0,2\""], [], []),
    "depth recurrence from half of the budget on": (["model.loop_first=1", "model.loop_last=2", "model.loop_passes=2", "train.loop_from=0.5"],
                                                    [], ["loop"]),
    "packed documents": (["data.loader=packed"], [], ["packed:"]),
    "sequences that grow": (["train.seq_len_growth=64@0.3,128@0.6,256@1"], [], ["seq_len:"]),
    "SwiGLU": (["model.mlp=swiglu"], ["mlp.gate"], []),
    "RMSNorm gains": (["model.norm_gains=true"], ["attn_norm.gain", "mlp_norm.gain", "final_norm.gain"], []),
    "untied head": (["model.tied_head=false"], ["lm_head"], []),
    "softcap, none": (["model.softcap_form=none"], [], []),
    "softcap, asymmetric": (["model.softcap_form=asymmetric", "model.logit_softcap=11.5"], [], []),
    "softcap, learned of each side": (["model.softcap_form=two_sided", "model.logit_softcap=5"], ["logit_sides"], []),
    "YaRN": (["model.yarn_factor=4", "model.rope_context=256"], [], []),
    "memory tokens": (["model.memory_tokens=16"], ["memory"], []),
    "no q gain, block scales, q/k norm": (["model.q_gain=false", "model.block_scales=false", "model.qk_norm=false"], [], []),
    "bags out, s = 4": (["train.bag_targets=4"], [], []),
    "bags in and out (TST), s = 4": (["train.bag_targets=4", "train.bag_inputs=true"], [], ["bag"]),
    "TST, the older form of equal data": (["train.bag_targets=4", "train.bag_inputs=true", "train.bag_iso_data=true"], [], ["bag"]),
    "further tokens on the same logits": (["train.future_targets=2"], [], []),
    "prefix tokens": (["train.prefix_weight=0.25"], [], []),
    "MTP heads": (["train.mtp_heads=2"], [], []),
    "DeepSeek MTP, depth 1": (["train.mtp_modules=1"], [], []),
    "DeepSeek MTP, depth 2": (["train.mtp_modules=2"], [], []),
    "complementary training": (["train.complement_alpha=0.5"], [], []),
    "z-loss": (["train.z_loss=0.0001"], [], []),
    "Polar Express": (["optimizer.newton_schulz=polar_express"], [], []),
    "Turbo-Muon": (["optimizer.newton_schulz=turbo", "optimizer.newton_schulz_steps=4", "optimizer.newton_schulz_scaling=aol"], [], []),
    "MuonEq-R": (["optimizer.muon_row_norm=true"], [], []),
    "NorMuon": (["optimizer.normuon=paper"], [], []),
    "Aurora": (["optimizer.aurora_iterations=2"], [], []),
    "EMA-Nesterov": (["optimizer.ema_nesterov_beta=0.5"], [], []),
    "cautious weight decay": (["optimizer.cautious_weight_decay=true"], [], []),
    "weight-decay taper": (["optimizer.weight_decay_taper_start=0.7"], [], []),
    "lr warm-up and cosine": (["train.lr_warmup_steps=20", "train.warmdown_shape=cosine"], [], []),
    "EMA from half of the budget on": (["train.ema_start_fraction=0.5"], [], []),
    "SWA": (["train.average=swa", "train.swa_every=5", "train.swa_start_lr=0.5"], [], ["swa:start"]),
    "LAWA": (["train.average=lawa", "train.lawa_every=5", "train.lawa_count=4"], [], []),
    "SWA of the EMA": (["train.average=ema_swa", "train.swa_every=5", "train.swa_start_lr=0.5"], [], ["swa:start"]),
    "best of the averages": (["train.average=best", "train.held_out_tokens=16384", "train.swa_every=5", "train.swa_start_lr=0.5"], [], ["average:best"]),
    "late QAT": (["train.late_qat_lr=0.5", "quant.fill_cap=false", "quant.scales=sdclip", "quant.cap_bytes=2000000"], [], ["late_qat:enabled"]),
}
MOVED = 1e-4  # of a tensor's largest weight: far above what fp32 rounds


def read_tensors(path):
    data = path.read_bytes()
    (header_bytes,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + header_bytes])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
        tensors[name] = array.array("f", data[begin:end])
    return tensors


def run(options, folder, sets, steps=None):
    words = [options.program, "run", options.recipe, "--out", str(folder), "--fresh"]
    common = ["eval.exact_share=0", "eval.stride=256", f"train.wallclock_s={0 if steps is not None else options.seconds}",
              "train.checkpoint_every_s=0", "train.log_every=10", "quant.calibration_tokens=8192"]
    if steps is not None:
        common.append(f"train.max_steps={steps}")
    for assignment in [*common, *options.set, *sets]:
        words += ["--set", assignment]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1]
    (log,) = folder.glob("train_seed*.log")
    return log.read_text(), ""


def moved(own, first, last):
    """The least of its own tensors' largest change, as a part of the tensor's largest weight."""
    least = None
    for part in own:
        names = [name for name in last if part in name]
        if not names:
            return 0.0
        for name in names:
            size = max(map(abs, last[name]))
            change = max(abs(a - b) for a, b in zip(first[name], last[name])) / size if size > 0 else 0.0
            least = change if least is None else min(least, change)
    return least


def attempt(options, name):
    sets, own, said = TECHNIQUES[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if own:  # weights after one step, as good as the first ones
            log, error = run(options, folder / "first", sets, steps=1)
            if log is None:
                return name, None, error
        log, error = run(options, folder / "run", sets)
        if log is None:
            return name, None, error
        losses = [float(x) for x in re.findall(r"step:\d+/\d+ train_loss:([0-9.]+)", log)]
        steps = int(re.findall(r"step:(\d+)/\d+ train_loss", log)[-1])
        keys = re.search(r"recipe:keys (.*)", log).group(1)
        missing = [s for s in sets if not s.startswith(("quant.", "data.")) and s.split("=")[0] not in keys] + [s for s in said if not re.search(rf"^{s}", log, re.M)]
        own_moved = None
        if own:
            own_moved = moved(own, *(read_tensors(folder / part / "final_model.safetensors") for part in ("first", "run")))
        fault = ""
        if not losses[-1] < losses[0] - 0.5:
            fault = "the loss does not fall"
        elif own_moved is not None and own_moved < MOVED:
            fault = "its parameters do not move"
        elif missing:
            fault = f"the log does not say {', '.join(missing)}"
        return name, (sets, steps, losses[0], losses[-1], own_moved), fault


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--recipe", default="records/cpu_10min_1mb/2026-11-22_baseline/recipe.toml")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=list(TECHNIQUES))
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    print("# Techniques, each by itself\n")
    print(f"Written by `scripts/try_techniques.py`: {options.seconds:g} s of training on real text each, {options.jobs} at a time, by the recipe of the CPU")
    print("track with the keys that are shown. Losses are those of the log, of the first step and the last; of a technique that adds to the")
    print("loss or weighs it, with that. Moved: the least of the largest changes in its own tensors, as a part of the tensor's largest")
    print("weight. What a technique gains is another question.\n")
    print("| technique | keys | steps | first loss | last loss | its parameters moved |")
    print("|---|---|---|---|---|---|")
    faults = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, result, fault in pool.map(lambda name: attempt(options, name), options.only):
            if result is not None:
                sets, steps, first, last, own_moved = result
                keys = " ".join(f"`{s.replace('model.', '').replace('train.', '').replace('optimizer.', '')}`" for s in sets)
                print(f"| {name} | {keys} | {steps} | {first:.3f} | {last:.3f} | {'' if own_moved is None else f'{own_moved:.3f}'} |", flush=True)
            print(f"{name}: {fault or 'alive'}", file=sys.stderr, flush=True)
            if fault:
                faults.append(name)
    if faults:
        sys.exit(f"not alive: {', '.join(faults)}")


if __name__ == "__main__":
    main()
