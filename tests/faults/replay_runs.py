#!/usr/bin/env python3
"""Ten runs of different recipes, each ended by a clock or by its steps, come out again by their tapes: artifact and score, on another
number of threads and ranks than they were trained with.

  replay_runs.py PROGRAM
"""
import sys

import small_job

COMMON = ["train.gradient_leaves=4", "train.micro_batch_tokens=256", "quant.calibration_tokens=64", "train.max_steps=24"]
MUON = ["optimizer.normuon=modded", "optimizer.normuon_beta2=0.9"]
LOOPS = ["model.loop_first=0", "model.loop_last=1", "model.loop_passes=2", "train.loop_from=0.5"]
BAGS = ["train.bag_targets=4", "train.bag_inputs=true", "train.bag_fraction=0.5"]
BY_THE_CLOCK = ["train.max_steps=100000", "train.wallclock_s=3", "train.warmdown_fraction=0.9"]
RECIPES = {
    "plain": [],
    "by the clock, with bags and loops": [*BY_THE_CLOCK, *LOOPS, *BAGS],
    "MTP heads, late QAT": ["train.mtp_heads=2", "train.late_qat_lr=0.5", "quant.scales=sdclip", "quant.fill_cap=false"],
    "MTP modules, z-loss": ["train.mtp_modules=1", "train.z_loss=1e-4"],
    "LoRA while scoring, mixed with n-grams": ["ttt.kind=lora", "ttt.lora_chunk_tokens=16", "mix.kind=logit"],
    "SGD while scoring, tilted": ["ttt.kind=sgd", "ttt.chunk_tokens=256", "ttt.batch_tokens=256", "mix.kind=tilt"],
    "best average of held-out text": ["train.average=best", "train.held_out_tokens=500", "train.swa_every=2", "train.swa_start_lr=2"],
    "NorMuon, value residual, SwiGLU": [*MUON, "model.value_residual=mean", "model.mlp=swiglu"],
    "Aurora, EMA-Nesterov, SDClip": ["optimizer.aurora_iterations=2", "optimizer.ema_nesterov_beta=0.6", "quant.scales=sdclip",
                                     "quant.fill_cap=false"],
    "exact arithmetic, by the clock": [*BY_THE_CLOCK, "track.device=cpu:exact", "optimizer.grad_clip_norm=0.3"],
}
TRAINED = {"ranks": 1, "threads": 2}
REPLAYED = [{"ranks": 4, "threads": 1}, {"ranks": 2, "threads": 3}, {"ranks": 1, "threads": 1}]


def run(job, how, *words):
    return job.run(*words, "--ranks", str(how["ranks"]), environment={"OMP_NUM_THREADS": str(how["threads"])})


def main():
    with small_job.SmallJob(sys.argv[1]) as job:
        for number, (name, keys) in enumerate(RECIPES.items()):
            folder = f"run{number}"
            sets = [word for key in [*COMMON, *keys] for word in ("--set", key)]
            done = run(job, TRAINED, "run", "recipe.toml", "--out", folder, *sets)
            if done.returncode != 0:
                sys.exit(f"failed: {name}: {done.stderr}")
            how = REPLAYED[number % len(REPLAYED)]
            done = run(job, how, "replay", folder)
            if done.returncode != 0 or "replayed: artifact and score are the record's" not in done.stdout:
                sys.exit(f"failed: {name}, on {how}:\n{done.stdout}{done.stderr}")
            print(f"ok: {name}, on {how['ranks']} ranks and {how['threads']} threads", flush=True)
    print(f"{len(RECIPES)} of {len(RECIPES)} runs came out again")


if __name__ == "__main__":
    main()
