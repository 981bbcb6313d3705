#!/usr/bin/env python3
"""netrun's metrics against MedPy's and DeepMind's surface-distance:

    tests/metrics/compare.py build/tests/score_pairs [PAIRS] [ROOM]   (1000 pairs, axes of 2..24 elements)
    tests/metrics/compare.py --fixture                                (writes tests/metrics/pairs.csv)

Prints the largest deviation of each metric, and exits with 1 if one is above 1e-9 or if they disagree about
what is defined. Needs NumPy, SciPy, MedPy 0.5 and surface-distance 0.1."""
import math
import os
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")
import oracle

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pairs.csv")
FIXTURE_PAIRS, FIXTURE_ROOM, ALLOWED = 60, 10, 1e-9


def write_fixture():
    with open(FIXTURE, "w") as f:
        f.write("pair," + ",".join(oracle.METRICS) + "\n")
        for k in range(FIXTURE_PAIRS):
            values = oracle.expected(*oracle.pair(k, FIXTURE_ROOM))
            f.write(f"{k}," + ",".join(f"{v:.12g}" for v in values) + "\n")


def scored(program, pairs):
    text = b""
    for pred, truth, spacing, tolerance in pairs:
        head = [pred.ndim, tolerance, *pred.shape, *spacing]
        text += " ".join(str(x) for x in head).encode() + b"\n" + pred.tobytes() + truth.tobytes()
    run = subprocess.run([program], input=text, stdout=subprocess.PIPE, check=True)
    return [[float(v) for v in line.split()] for line in run.stdout.decode().splitlines()]


def compare(program, count, room):
    pairs = [oracle.pair(k, room) for k in range(count)]
    ours, most, compared, bad = scored(program, pairs), {}, {}, 0
    assert len(ours) == count
    for k, (got, p) in enumerate(zip(ours, pairs)):
        for name, g, want in zip(oracle.METRICS, got, oracle.expected(*p)):
            if math.isnan(g) != math.isnan(want):
                print(f"pair {k}: {name} is {g}, expected {want}")
                bad = 1
            elif not math.isnan(g):
                most[name] = max(most.get(name, 0), abs(g - want))
                compared[name] = compared.get(name, 0) + 1
    for name in oracle.METRICS:
        print(f"{name:5} largest deviation {most[name]:.3g} in {compared[name]} pairs")
    print(f"largest of all: {max(most.values()):.3g}")
    return bad or max(most.values()) > ALLOWED


if __name__ == "__main__":
    if sys.argv[1:] == ["--fixture"]:
        write_fixture()
    elif len(sys.argv) > 1:
        sizes = [int(x) for x in sys.argv[2:]] + [1000, 24][len(sys.argv) - 2:]
        sys.exit(compare(sys.argv[1], *sizes))
    else:
        sys.exit(__doc__)
