#!/usr/bin/env python3
"""What a training loses to its batches: netrun train of a module on real images, without and with all
augmentations, beside netrun bench of the same module. Prints the table of docs/benchmarks.md.

    tests/bench/batches.py --lits DIR --la DIR              processor time, whatever else the machine does
    tests/bench/batches.py --lits DIR --la DIR --wall       and wall time; nothing else should run then

DIR: slices of LiTS (images/, masks/) and the LA volumes (CASE/mri_norm2.h5), as docs/data.md names them. A
few items of each are used, so that all are in memory after the first iterations. Needs build/netc and
build/netrun.

Processor time: one thread computes and one makes batches, and the kernel counts the time of each (Linux,
/proc/PID/task/TID/schedstat); it is read whenever an iteration has ended, from the third on. The loss is the
batches' time over the computation's: where all cores compute, batches take that much of them. Wall time: an
iteration of train over one of bench on all cores, in turns, the least of each."""
import argparse
import itertools
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETC, NETRUN = ROOT / "build/netc", ROOT / "build/netrun"
WORDS = ["flip", "rot90", "crop", "rotate", "scale", "elastic", "noise", "gamma", "brightness", "contrast",
         "blur", "lowres", "cutout"]
LISTS = {"none": [], "all": WORDS}
RECIPES = {  # module, data set, what it is
    "unet": ("models/unet.net", "lits", "U-Net, 4 slices of 256x256"),
    "asenet": ("models/asenet.net", "lits", "ASE-Net 2-D, 4+4 slices of 256x256"),
    "vnet": ("models/vnet.net", "la", "V-Net, 2 patches of 112x112x80"),
    "asenet3d": ("models/asenet3d.net", "la", "ASE-Net 3-D, 2+2 patches of 112x112x80"),
}
FIRST = 2  # iterations that are not measured: in them all items are read


def some_of(kind, source, folder):
    """A data set of a few of the items, as links."""
    source, folder = pathlib.Path(source).resolve(), pathlib.Path(folder) / kind
    if kind == "la":
        for case in sorted(source.glob("*/mri_norm2.h5"))[:5]:
            (folder / case.parent.name).mkdir(parents=True)
            (folder / case.parent.name / case.name).symlink_to(case)
    else:
        names = [f.name for f in sorted((source / "images").iterdir())][:12]
        for side, name in itertools.product(("images", "masks"), names):
            (folder / side).mkdir(parents=True, exist_ok=True)
            (folder / side / name).symlink_to(source / side / name)
    return f"{'la' if kind == 'la' else 'folder'}:{folder}"


def compiled(source, words, path):
    quoted = ", ".join(f'"{w}"' for w in words)
    subprocess.run([NETC, ROOT / source, "-D", f"augment=[{quoted}]", "-o", path], check=True)
    return path


def train_command(module, data, iterations, out):
    return [NETRUN, "train", module, "--data", data, "--iterations", str(iterations), "--force", "--out", out]


def thread_times(process):
    """Seconds that the first thread and the others together have run so far; None: it has ended."""
    first, others = 0, 0
    try:
        for task in os.listdir(f"/proc/{process.pid}/task"):
            ran = int(open(f"/proc/{process.pid}/task/{task}/schedstat").read().split()[0]) * 1e-9
            if int(task) == process.pid: first += ran
            else: others += ran
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return None
    return first, others


def iterations_of(out):
    """What timing.csv has: seconds of each iteration so far."""
    try:
        return [float(line.split(",")[1]) for line in open(f"{out}/timing.csv").read().split("\n")[1:-1]]
    except (FileNotFoundError, IndexError, ValueError):
        return []


def processor_times(module, data, iterations, out):
    """Milliseconds of an iteration: computation, batches. When an iteration ends, the next batch is made, and
    the thread goes on to the one after: the ends that are measured are those where there is one."""
    shutil.rmtree(out, ignore_errors=True)
    command = train_command(module, data, iterations, out) + ["--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    at = {}
    while process.poll() is None:
        ended, times = len(iterations_of(out)), thread_times(process)
        if times: at.setdefault(ended, times)
        time.sleep(0.005)
    if process.returncode: raise SystemExit("failed: " + " ".join(map(str, command)))
    last = iterations - 2
    return [1e3 * (b - a) / (last - FIRST) for a, b in zip(at[FIRST], at[last])]


def wall_times(modules, data, iterations, out, rounds=3):
    """Seconds of an iteration: bench, train by list. The least of some rounds in turns."""
    best = {}
    for _ in range(rounds):
        bench = [NETRUN, "bench", modules["none"], "--json", "--iterations", str(iterations - FIRST)]
        took = {"bench": json.loads(subprocess.run(bench, check=True, stdout=subprocess.PIPE).stdout)}
        took["bench"] = statistics.median(took["bench"]["seconds"])
        for name, module in modules.items():
            command = train_command(module, data, iterations, out)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            took[name] = statistics.median(iterations_of(out)[FIRST:])
        best = {k: min(v, best.get(k, v)) for k, v in took.items()}
    return best


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lits")
    parser.add_argument("--la")
    parser.add_argument("--recipe", choices=RECIPES, action="append", help="only these")
    parser.add_argument("--iterations", type=int, default=12, help="of each run (12)")
    parser.add_argument("--wall", action="store_true")
    args = parser.parse_args()
    columns = ["recipe", "computation", "batches, none", "loss", "batches, all", "loss"]
    if args.wall: columns += ["bench", "train, none", "train, all"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    with tempfile.TemporaryDirectory() as folder:
        data = {k: some_of(k, getattr(args, k), folder) for k in ("lits", "la") if getattr(args, k)}
        for name in args.recipe or RECIPES:
            source, kind, what = RECIPES[name]
            if kind not in data: continue
            modules = {k: compiled(source, w, f"{folder}/{name}-{k}.so") for k, w in LISTS.items()}
            out = f"{folder}/run"
            took = {k: processor_times(m, data[kind], args.iterations, out) for k, m in modules.items()}
            compute = min(t[0] for t in took.values())
            cells = [what, f"{compute:.0f} ms"]
            for k in LISTS: cells += [f"{took[k][1]:.1f} ms", f"{100 * took[k][1] / compute:.1f} %"]
            if args.wall:
                times = wall_times(modules, data[kind], args.iterations, out)
                cells += [f"{times['bench']:.3f} s"]
                more = {k: 100 * (times[k] / times["bench"] - 1) for k in LISTS}
                cells += [f"{times[k]:.3f} s ({more[k]:+.1f} %)" for k in LISTS]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
