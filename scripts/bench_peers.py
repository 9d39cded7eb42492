#!/usr/bin/env python3
"""Times our training step against PyTorch's in every configuration that might be its best, in turns; scripts/bench_peers.sh
installs what this needs.

  bench_peers.py PROGRAM PYTHON_WITH_TORCH [--quick] [--turns 5] [--shapes small record]

Precision, compilation and attention are tried in all combinations; the fastest of them, by its median, is the peer that the
ratio is against. After the first turn only those are kept that are among the three fastest and not below 70 % of the first. Shares are of the machine's peak:
the best product that either side reached in any of its tries over the whole run, in any precision.
"""
import argparse
import itertools
import json
import select
import statistics
import subprocess
import sys

# First the likely fastest, which sets the limit of patience for the others.
CONFIGURATIONS = list(itertools.product(("fp32", "bf16"), ("eager", "compiled"), ("repeated", "grouped")))
GPU_CONFIGURATIONS = [c for c in CONFIGURATIONS if c[:2] == ("bf16", "compiled")]  # no other comes near, and memory is for two
FIRST_STEP_LIMIT_S = 900  # compilation included
SLOWEST = 6               # a first turn this many times as slow as the fastest is cut short
KEPT = 0.7                # of the fastest, to be timed again
MOST_KEPT = 3             # each takes 6 GB at 27M parameters and T = 2048


class Peer:
    """One configuration of PyTorch in a process of its own, which sleeps between its turns."""

    def __init__(self, python, shape, configuration, device):
        precision, mode, keys = configuration
        self.name = f"PyTorch {precision} {mode}, keys {keys}"
        self.turns, self.fate, self.is_running = [], "", True
        self.process = subprocess.Popen(
            [python, "scripts/torch_peer.py", "--shape", shape, "--precision", precision, "--mode", mode, "--keys", keys, "--device", device],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.facts = self.read(FIRST_STEP_LIMIT_S)

    def read(self, limit_s):
        if select.select([self.process.stdout], [], [], limit_s)[0]:
            line = self.process.stdout.readline()
            if line:
                return json.loads(line)
            self.fate = "failed: " + (self.process.stderr.read().strip().split("\n") or ["no reason given"])[-1]
        else:
            self.fate = f"stopped after {limit_s:.0f} s without an end"
        self.end()
        return None

    def run(self, steps, limit_s):
        try:
            self.process.stdin.write(f"{steps}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died since; read() says of what
        said = self.read(limit_s)
        if said:
            self.turns.append(self.facts["batch_tokens"] / statistics.median(said["step_s"]))
        return said["peak_gflops"] if said else 0

    def end(self):
        self.is_running = False
        self.process.kill()
        self.process.wait()


def run_ours(program, shape, steps, device):
    said = subprocess.run([program, "bench", "train", "--shape", shape, "--steps", str(steps), "--json", "--device", device], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said)


def start_peers(python, shape, device):
    """One after the other, when the one before has had its first turn."""
    for configuration in CONFIGURATIONS if device == "cpu" else GPU_CONFIGURATIONS:
        yield Peer(python, shape, configuration, device)


def end_slow(peers):
    timed = sorted((p for p in peers if p.turns), key=lambda p: -p.turns[0])
    for place, peer in enumerate(timed):
        if place >= MOST_KEPT or peer.turns[0] < KEPT * timed[0].turns[0]:
            peer.end()


def time_shape(args, shape):
    """Ours and every peer, in turns: (our results, peers, peak in GFLOP/s)."""
    ours, peers, peak = [], [], 0
    for turn in range(args.turns):
        ours.append(run_ours(args.program, shape, args.steps, args.device))
        peak = max(peak, ours[-1]["peak_gflops"])
        print(f"{shape}, turn {turn + 1}: ours {ours[-1]['tokens_per_s']:,.0f} tok/s", file=sys.stderr)
        for peer in start_peers(args.python, shape, args.device) if turn == 0 else [p for p in peers if p.is_running]:
            if turn == 0:
                peers.append(peer)
            if not peer.fate:
                fastest = max((p.turns[0] for p in peers if p.turns), default=0)
                limit_s = args.steps * SLOWEST * peer.facts["batch_tokens"] / fastest if fastest else FIRST_STEP_LIMIT_S
                peak = max(peak, peer.run(args.steps, limit_s + 60))
            print(f"{shape}, turn {turn + 1}: {peer.name} {peer.fate or f'{peer.turns[-1]:,.0f} tok/s'}", file=sys.stderr)
            if turn == 0:
                end_slow(peers)
    for peer in peers:
        peer.end()
    return ours, peers, peak


def report(shape, ours, peers, peak):
    first = ours[0]
    flops_per_token = 1e9 * statistics.median(o["gflops"] / o["tokens_per_s"] for o in ours)
    our_speed = statistics.median(o["tokens_per_s"] for o in ours)
    row = "| {} | {:,.0f} | {:.0f} % | {} | {:.2f} |".format
    share = lambda speed: 100 * speed * flops_per_token / (1e9 * peak)
    print(f"\n{shape}: {first['params']:,} parameters, T = {first['seq_len']}, {first['batch_tokens']:,} tokens a step\n")
    print("| configuration | tok/s, median | of peak | turns | ours / it |\n|---|---|---|---|---|")
    print(row("ours", our_speed, share(our_speed), len(ours), 1))
    timed = sorted((p for p in peers if p.turns), key=lambda p: -statistics.median(p.turns))
    for peer in timed:
        speed = statistics.median(peer.turns)
        print(row(peer.name, speed, share(speed), len(peer.turns), our_speed / speed))
    for peer in peers:
        if not peer.turns:
            print(f"| {peer.name} | {peer.fate} | | 0 | |")
    if timed:
        peer = timed[0]
        ratios = sorted(o["tokens_per_s"] / p for o, p in zip(ours, peer.turns))
        print(f"\npeer: {peer.name}; ours is {statistics.median(ratios):.2f} times as fast, turns "
              f"{' '.join(f'{r:.2f}' for r in ratios)}; torch {peer.facts['torch']}, {peer.facts['threads']} threads; "
              f"peak {peak:,.0f} GFLOP/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("python")
    parser.add_argument("--quick", action="store_true", help="one turn of one step: whether all of it runs, and roughly")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="a turn")
    parser.add_argument("--shapes", nargs="+", choices=["small", "record", "record_gpu"], default=["small", "record"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = parser.parse_args()
    if args.quick:
        args.turns = args.steps = 1
    for shape in args.shapes:
        report(shape, *time_shape(args, shape))


main()
