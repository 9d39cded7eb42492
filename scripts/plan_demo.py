#!/usr/bin/env python3
"""Fits the demo's run into the seconds that are left, from a rehearsal of it on this machine.

  plan_demo.py REHEARSAL WALL_S LEFT_S PROBE_MANIFEST VAL_MANIFEST

REHEARSAL is the folder of a run of a few steps whose validation text is that of PROBE_MANIFEST, and
WALL_S what it took in all. Prints, a line each: how many of the validation documents to score (0:
all), then arguments for `train_gpt run`. The plan in words goes to stderr.

What is chosen: the time of training, tokens a step, how fast the average forgets, the part of the
validation text, and the stride. Nothing here changes what a step or a score computes.
"""
import json
import statistics
import sys

STRIDE = 64
EVAL_BUDGET_S = 60  # eval.wallclock_s of the recipe; half of it is planned for
FULL_TRAIN_S = 90  # what a machine trains for that gets through enough steps
LONGEST_TRAIN_S = 150
SHORTEST_TRAIN_S = 60  # even where that takes longer than was left
RESERVE = 2  # times what calibration took in the rehearsal: the trainer stops about so much earlier
SCORING_SHARE = 0.35  # of the time for the run, at most
# A model of this size learns more from many small steps than from few large ones: 218,000 tokens in
# 213 steps of 1,024 ended at 3.99 nats, 139,000 in 17 steps of 8,192 at 5.82.
ENOUGH_STEPS = 250
LARGEST_BATCH, SMALLEST_BATCH = 8192, 1024
LONGEST_AVERAGE = 0.97  # train.ema_decay of the recipe
SAMPLE_POSITIONS = 120 * 256  # tokens written, times the window each is computed in


def read_rehearsal(folder):
    """Training tokens a second, seconds of training, of each scoring pass, and kept free for calibration."""
    steps, passes = [], {}
    with open(folder + "/run.jsonl", encoding="utf-8") as lines:
        for event in map(json.loads, lines):
            if event["event"] == "step":
                steps.append(event)
            elif event["event"] == "score":
                passes[event["stage"]] = event["eval_s"]
    speed = statistics.median(s["tokens_per_s"] for s in steps[1:])
    with open(folder + "/submission.json", encoding="utf-8") as record:
        reserve_s = RESERVE * json.load(record)["calibrate_time_s"]
    return speed, steps[-1]["train_s"], passes, reserve_s


def choose_batch(tokens):
    batch = LARGEST_BATCH
    while batch > SMALLEST_BATCH and tokens < ENOUGH_STEPS * batch:
        batch //= 2
    return batch


def plan(speed, passes, reserve_s, probe_tokens, val_tokens, other_s, left_s):
    """(train_s, batch, decay, scored tokens, stride, scoring_s, sample_s)"""
    plain_s = (passes["pre_quant"] + passes["roundtrip"]) / probe_tokens  # a token, both passes
    final_s = passes["final"] / probe_tokens
    sample_s = SAMPLE_POSITIONS * plain_s / 2
    run_s = left_s - other_s - sample_s
    stride = STRIDE
    tokens = 0
    for stride in (STRIDE, 2 * STRIDE):
        slide_s = final_s * STRIDE / stride
        tokens = min(val_tokens, SCORING_SHARE * run_s / (plain_s + slide_s),
                     EVAL_BUDGET_S / 2 / slide_s)
        if tokens >= 40_000:  # about 100 KB of text
            break
    tokens = int(max(tokens, probe_tokens))
    scoring_s = tokens * (plain_s + final_s * STRIDE / stride)
    most_s = run_s - scoring_s
    is_fast = choose_batch(speed * FULL_TRAIN_S) == LARGEST_BATCH
    train_s = max(SHORTEST_TRAIN_S, min(FULL_TRAIN_S if is_fast else LONGEST_TRAIN_S, most_s))
    trained = speed * max(0.0, train_s - reserve_s)
    batch = choose_batch(trained)
    steps = max(1.0, trained / batch)
    decay = min(LONGEST_AVERAGE, max(0.5, 1 - 10 / steps))
    return train_s, batch, decay, tokens, stride, scoring_s, sample_s


def main(arguments):
    if len(arguments) != 5:
        sys.exit(__doc__)
    folder, wall_s, left_s, probe_file, val_file = arguments
    with open(probe_file, encoding="utf-8") as probe, open(val_file, encoding="utf-8") as val:
        probe, val = json.load(probe), json.load(val)
    speed, rehearsed_s, passes, reserve_s = read_rehearsal(folder)
    other_s = max(0.0, float(wall_s) - rehearsed_s - sum(passes.values()))
    train_s, batch, decay, tokens, stride, scoring_s, sample_s = plan(
        speed, passes, reserve_s, probe["tokens"], val["tokens"], other_s, float(left_s))
    documents = 0
    if tokens < val["tokens"]:
        documents = max(1, round(val["documents"] * tokens / val["tokens"]))
    print(documents)
    for key, value in (("train.wallclock_s", f"{train_s:.0f}"), ("train.batch_tokens", batch),
                       ("train.micro_batch_tokens", min(batch, 4096)),
                       ("train.ema_decay", f"{decay:.3f}"), ("eval.stride", stride)):
        print(f"--set\n{key}={value}")
    scored = (f"the first {documents} of {val['documents']} validation documents"
              if documents else f"all {val['documents']} validation documents")
    say = lambda text: print(text, file=sys.stderr)
    say(f"this machine trains {speed:,.0f} tokens a second; the plan:")
    say(f"  train             {train_s:4.0f} s  about {speed * max(0.0, train_s - reserve_s) / batch:,.0f} "
        f"steps of {batch:,} tokens")
    say(f"  quantise and pack {other_s:4.0f} s")
    say(f"  score             {scoring_s:4.0f} s  three passes over {scored}, about {tokens:,} "
        f"tokens; the last in strides of {stride}")
    say(f"  write a sample    {sample_s:4.0f} s")
    say(f"  together          {train_s + other_s + scoring_s + sample_s:4.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
