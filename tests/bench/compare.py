#!/usr/bin/env python3
"""netc and its rivals on the same work, side by side in one run; writes the tables of docs/benchmarks.md.

    tests/bench/compare.py --python VENV/bin/python                     everything, in about 22 minutes
    tests/bench/compare.py train --work unet --modes eager --out -      a part of it, printed
    tests/bench/compare.py --quick                                 small images, to see that all works

Needs build/netc and build/netrun. The rivals run in another Python, given by --python or $PYTHON:

    python3 -m venv VENV && VENV/bin/pip install torch onnx onnxruntime openvino

torch.compile wants a C++ compiler; build/tests/bench_onednn is built where CMake finds oneDNN (Debian:
libdnnl-dev). A rival that is not there is reported as missing.

  train      a training iteration: PyTorch eager, torch.compile, channels_last
  layers     every convolution of U-Net and V-Net on one core: oneDNN's primitives, direct and Winograd
  inference  U-Net and DyBAC U-Net, batches of 1 and 4: ONNX Runtime, OpenVINO, PyTorch eager
  bf16       netc alone: an iteration with -D precision=bf16 beside float32
  scaling    netc alone: an iteration on 1 to 64 threads, simulated from its tasks' times (bench --scaling)

Sides take turns; times are medians, ratios are of medians of the same turns, memory is the peak resident
size of each process. Every rival has a share of --budget-minutes and is stopped when it is over; one that
had no time for a run after its first is reported by its first (marked *)."""
import argparse
import datetime
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from sides import Failed, Netc, Rival, ROOT, cpu

UNET, VNET = "4 images of 256x256", "1 x 112x112x80"
TRAIN = {  # source, function, batch, share of the time, what it is
    "acts": ("models/asenet.net", "acts", 4, 10, f"ASE-Net 2-D, 4+{UNET}"),
    "unet": ("models/unet.net", "supervised", 4, 3, f"U-Net, {UNET}"),
    "unet_dy": ("tests/bench/unet_dy.net", "supervised", 4, 3, f"DyBAC U-Net, {UNET}"),
    "vnet": ("models/vnet.net", "supervised", 1, 1.5, f"V-Net, {VNET}"),
    "vnet_dy": ("tests/bench/vnet_dy.net", "supervised", 1, 1.5, f"VNet_dy v2, {VNET}"),
}
MODES = {"eager": 1, "compile": 1.5, "channels_last": 0.8}
INFERENCE = {"unet": ("models/unet.net", "U-Net"), "unet_dy": ("tests/bench/unet_dy.net", "DyBAC U-Net")}
ENGINES = ("onnxruntime", "openvino", "torch")
SHARE = {"train": 11, "layers": 5, "inference": 3, "scaling": 1.5, "bf16": 1.5}
PATIENCE = 3
LEAST = 15  # seconds a job gets however late it is: enough to say something about small work


class Slots:
    """Divides the time until `end` among jobs in proportion to their weights; what one leaves over goes to
    the rest. A job gets (end of its share, end of its patience): runs are added within the share, but to
    wait for the first ones it may take of what comes later."""

    def __init__(self, end, weights):
        self.end, self.weights = end, list(weights)

    def next(self):
        left = max(self.end - time.time(), 0)
        share = left * self.weights[0] / sum(self.weights)
        self.weights.pop(0)
        share = max(share, LEAST)
        return time.time() + share, time.time() + max(share, min(PATIENCE * share, left))


def median(v):
    return statistics.median(v) if v else None


def log(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def take_turns(a, job, netc, function, repeat, slot):
    """The rival's and netc's times in alternate turns while the slot lasts, at most a.runs. {"rival",
    "netc": lists, "first": bool, ..}"""
    end, patience = slot
    rival = Rival(a.python, job, patience - time.time())
    try:
        result = {"rival": [], "netc": [], "first": False, "info": rival.info}
        cost = rival.first * repeat + 2 * sum(netc.run(function, 1))
        for _ in range(a.runs):
            if time.time() + cost > (end if result["rival"] else patience):
                break
            start = time.time()
            result["rival"] += rival.run(max(patience - start, 2 * cost))
            time.sleep(0.3)  # threads of the rival that spin for more work lie down
            result["netc"] += netc.run(function, repeat)
            cost = time.time() - start
        if not result["rival"]:
            result.update(rival=[rival.first], netc=netc.last["seconds"], first=True)
        result["rss"] = rival.rss
        return result
    finally:
        rival.stop()


# ---- the parts: each gives the lines of its tables ----
def extents(a, work):
    if a.size:
        return [a.size] * (3 if work.startswith("vnet") else 2)
    return [112, 112, 80] if work.startswith("vnet") else [256, 256]


def attempt(results, key, what, *args):
    log(what)
    try:
        results[key] = take_turns(*args)
        r = results[key]
        log(f"  {median(r['rival']):.3f} s, netc {median(r['netc']):.3f} s"
            + (" (first run)" if r["first"] else ""))
    except Failed as e:
        results[key] = {"failed": str(e)}
        log(f"  {e}")


def cell(r, field, form, netc=None):
    """A time, memory or (with netc) a ratio of result r; a dash where there is none."""
    if not r or "failed" in r:
        return "–"
    if field == "seconds":
        v = median(r["rival"]) / median(r["netc"]) if netc else median(r["rival"])
    else:
        v = r["rss"] / netc if netc else r["rss"] / 2**30
    return form % v + ("*" if r["first"] and field == "seconds" else "")


def reasons(results, names):
    return [f"{' '.join(map(str, key))}: {r['failed']}." for key, r in results.items() if r and "failed" in r
            and key[-1] in names]


def train(a, folder, end):
    works, modes = [w for w in TRAIN if w in a.work], [m for m in MODES if m in a.modes]
    modules, results, versions = {}, {}, set()
    for w in works:
        source, fn, batch = TRAIN[w][:3]
        log(f"netc {source}")
        modules[w] = Netc(a.build, source, {"batch": batch, "size": str(extents(a, w)).replace(" ", "")},
                          f"{folder}/{w}.so", a.threads)
    jobs = [(w, m) for m in modes for w in sorted(works, key=lambda w: TRAIN[w][3] if m != "eager"
                                                  else 0)]  # else the longest come last
    slots = Slots(end, [TRAIN[w][3] * MODES[m] for w, m in jobs])
    for w, m in jobs:
        job = {"task": "train", "work": w, "mode": m, "size": extents(a, w), "batch": TRAIN[w][2],
               "threads": a.threads}
        attempt(results, (w, m), f"train {w}, PyTorch {m}", a, job, modules[w], TRAIN[w][1], 1, slots.next())
        versions |= {results[w, m].get("info", {}).get("version")} - {None}
    for w in works:
        if not modules[w].last:
            modules[w].run(TRAIN[w][1])
    own = {w: median([t for m in modes for t in results[w, m].get("netc", [])] or modules[w].last["seconds"])
           for w in works}
    heads = " | ".join(f"{m} / netc" for m in modes)
    lines = [f"PyTorch {', '.join(sorted(versions)) or 'gave no result'}."
             + (f" Images of {a.size} pixels a side." if a.size else ""), "",
             f"| iteration | {heads} | netc | {' | '.join(modes)} | netc compiles in |",
             "|---" * (2 * len(modes) + 3) + "|"]
    for w in works:
        ratios = " | ".join(cell(results[w, m], "seconds", "%.2fx", True) for m in modes)
        times = " | ".join(cell(results[w, m], "seconds", "%.2f s") for m in modes)
        lines.append(f"| {w}: {TRAIN[w][4]} | {ratios} | {own[w]:.2f} s | {times} | "
                     f"{modules[w].compile_seconds:.1f} s |")
    lines += ["", f"| peak memory | {heads} | netc | {' | '.join(modes)} |", "|---" * (2 * len(modes) + 2)
              + "|"]
    for w in works:
        ratios = " | ".join(cell(results[w, m], "rss", "%.2fx", modules[w].rss) for m in modes)
        sizes = " | ".join(cell(results[w, m], "rss", "%.2f GiB") for m in modes)
        lines.append(f"| {w} | {ratios} | {modules[w].rss / 2**30:.2f} GiB | {sizes} |")
    lines += ["", "Where netc's iteration goes (`netrun bench`), in percent:", "",
              "| iteration | kernels' roofline | their tasks beyond it | threads without a task | between "
              "launches |", "|---|---|---|---|---|"]
    for w in works:
        c = modules[w].last["account"]
        parts = " | ".join(f"{100 * c[k] / c['seconds']:.1f}"
                           for k in ("roofline", "above_roofline", "waiting", "between_launches"))
        lines.append(f"| {w} | {parts} |")
    return lines + [""] + reasons(results, modes)


def inference(a, folder, end):
    cases, results, error, own, versions = [(w, n) for w in INFERENCE if w in a.work
                                            for n in (1, 4)], {}, {}, {}, set()
    slots = Slots(end, [1] * (len(cases) * (len(ENGINES) + 1)))
    for w, n in cases:
        place = f"{folder}/{w}{n}"
        os.makedirs(place)
        size = extents(a, w)
        netc = Netc(a.build, INFERENCE[w][0], {"predict_batch": n, "size": str(size).replace(" ", "")},
                    f"{place}/net.so", a.threads, ["--target", "host", "--no-grads"])
        job = {"work": w, "size": size, "batch": n, "folder": place, "threads": a.threads, "repeat": 2
               if a.quick else 5}
        try:
            Rival(a.python, {**job, "task": "export"}, slots.next()[1] - time.time() + 60).stop()
            error[w, n] = netc.predict(place)
            if error[w, n] > 1e-3:
                raise Failed(f"outputs differ by {error[w, n]:.1e}")
        except Failed as e:
            results[w, n, "onnxruntime"] = {"failed": f"no comparison: {e}"}
            log(f"inference {w} {n}: {e}")
            slots.weights = slots.weights[len(ENGINES):]
            own[w, n] = median(netc.run("predict", job["repeat"]))
            continue
        for m in ENGINES:
            attempt(results, (w, n, m), f"inference {w}, batch {n}, {m}", a,
                    {**job, "task": "infer", "mode": m}, netc, "predict", job["repeat"],
                    slots.next())
            info = results[w, n, m].get("info")
            versions |= {f"{m} {info['version'].split('-')[0]}"} if info else set()
        turns = [t for m in ENGINES for t in results[w, n, m].get("netc", [])]
        own[w, n] = median(turns or netc.run("predict", job["repeat"]))
    lines = [", ".join(sorted(versions)) + ".", "", f"| forward | "
                                                    f"{' | '.join(m + ' / netc' for m in ENGINES)} | netc | "
                                                    f"{' | '.join(ENGINES)} | largest difference |",
             "|---" * (2 * len(ENGINES) + 3) + "|"]
    for w, n in cases:
        r = [results.get((w, n, m)) for m in ENGINES]
        lines.append(f"| {INFERENCE[w][1]}, batch {n} | "
                     f"{' | '.join(cell(x, 'seconds', '%.2fx', True) for x in r)} | {1e3 * own[w, n]:.0f} ms "
                     f"| " +
                     " | ".join(cell(x and {**x, 'rival': [1e3 * t for t in x.get('rival', [])]}, "seconds",
                                     "%.0f ms") for x in r) +
                     (f" | {error[w, n]:.0e} |" if (w, n) in error else " | – |"))
    return lines + [""] + reasons(results, ENGINES)


ROW = re.compile(r"^(.{26}) (\w+)\s+(\w* ) *([\d.]+) ms\s+([\d.]+) GFLOP/s", re.M)


def layer_rows(command):
    """{(layer, direction): {way: milliseconds}}; the way of a direct convolution is ''. One core, as both
    programs measure."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    rows = {}
    for name, direction, way, ms, _ in ROW.findall(done.stdout):
        rows.setdefault((name.strip(), direction), {})[way.strip()] = float(ms)
    return rows


def layers(a, folder, end):
    mine, theirs = f"{a.build}/tests/bench_conv", f"{a.build}/tests/bench_onednn"
    count = int(subprocess.run([mine, "layers"], capture_output=True, text=True, check=True).stdout)
    version = subprocess.run([theirs, "version"], capture_output=True,
                             text=True).stdout.strip() if os.path.exists(theirs) else None
    lines = [f"oneDNN {version or 'missing: install libdnnl-dev and build again'}. Milliseconds on one core.",
             "",
             "| layer | direction | oneDNN / netc, direct | oneDNN / netc, best of both | netc direct | netc "
             "chosen | oneDNN direct | oneDNN Winograd |",
             "|---|---|---|---|---|---|---|---|"]
    number = lambda v: f"{v:.2f}" if v else "–"
    ratio = lambda x, y: f"{x / y:.2f}x" if x and y else "–"
    for i in range(0, count, 5 if a.quick else 1):
        if time.time() > end:
            lines += ["", f"No time was left for the last {count - i} layers."]
            break
        log(f"layer {i + 1} of {count}")
        own = layer_rows([mine, "host", str(i)])
        other = layer_rows([theirs, str(i)]) if version else {}
        for (name, direction), ways in own.items():
            if direction not in ("fwd", "bwd_d", "bwd_w"):
                continue
            rival, direct = other.get((name, direction), {}), ways.get("")
            chosen = ways.get("auto", direct)
            lines.append(f"| {name} | {direction} | {ratio(rival.get(''), direct)} | "
                         f"{ratio(min(rival.values(), default=None), chosen)} | {number(direct)} | "
                         f"{number(chosen)} | {number(rival.get(''))} | {number(rival.get('wino'))} |")
    return lines


def bf16(a, folder, end):
    """netc against itself, in turns, the cheapest work first."""
    lines = ["| iteration | float32 / bf16 | float32 | bf16 | peak memory float32 | bf16 |",
             "|---|---|---|---|---|---|"]
    works = sorted((w for w in TRAIN if w in a.work), key=lambda w: TRAIN[w][3])
    slots = Slots(end, [TRAIN[w][3] for w in works])
    for w in works:
        source, fn, batch = TRAIN[w][:3]
        log(f"bf16 {w}")
        options = {"batch": batch, "size": str(extents(a, w)).replace(" ", "")}
        sides = [Netc(a.build, source, {**options, "precision": p}, f"{folder}/{w}-{p}.so", a.threads,
                      ["--target", "host", "--no-grads"])
                 for p in ("f32", "bf16")]
        stop, times, cost = slots.next()[0], [[], []], 0
        for _ in range(a.runs):
            if times[0] and time.time() + cost > stop:
                break
            start = time.time()
            for side, t in zip(sides, times):
                t += side.run(fn, 2)
            cost = time.time() - start
        full, half = median(times[0]), median(times[1])
        memory = " | ".join(f"{side.rss / 2**30:.2f} GiB" for side in sides)
        lines.append(f"| {w} | {full / half:.2f}x | {full:.3f} s | {half:.3f} s | {memory} |")
    return lines


def scaling(a, folder, end):
    """The cheapest work first, as long as there is time."""
    lines, table, reasons = [], [], []
    for w in sorted((w for w in TRAIN if w in a.work), key=lambda w: TRAIN[w][3]):
        source, fn, batch = TRAIN[w][:3]
        log(f"scaling {w}")
        netc = Netc(a.build, source, {"batch": batch, "size": str(extents(a, w)).replace(" ", "")},
                    f"{folder}/{w}-s.so", a.threads,
                    ["--target", "host", "--no-grads"])
        try:
            netc.run(fn, 1, ["--scaling"], max(end - time.time(), LEAST))
        except Failed as e:
            reasons.append(f"{w}: {e}.")
            break
        points, worst = netc.last["scaling"]["points"], netc.last["scaling"]["limits"][:5]
        if not lines:
            lines = [f"| speed-up on threads | {' | '.join(str(p['threads']) for p in points)} | simulated, "
                     f"measured on {a.threads} |",
                     "|---" * (len(points) + 2) + "|"]
        real = ["%.3f s, %.3f s" % (p["seconds"], p["measured"]) for p in points if p["threads"] == a.threads
                and "measured" in p]
        speedups = " | ".join("%.2f" % p["speedup"] for p in points)
        lines.append(f"| {w} | {speedups} | {''.join(real) or '–'} |")
        table += [f"| {w} | {1e3 * k['lost_seconds']:.1f} ms | {k['tasks']} | {k['launches']} | "
                  f"`{k['kernel']}` |" for k in worst]
    if table:
        lines += ["", "What loses most on 64 threads against an even division:", "",
                  "| iteration | lost | fewest tasks | launches | kernel |",
                  "|---|---|---|---|---|"]
    return lines + table + [""] + reasons


# ---- the document ----
def machine(a, folder):
    """One sentence about where this was measured, with the rates netrun bench finds."""
    netc = Netc(a.build, "models/unet.net", {"size": "[32,32]", "widths": "[8,16]"}, f"{folder}/probe.so",
                a.threads, ["--target", "host", "--no-grads"])
    netc.run("supervised")
    model, cores = cpu()
    memory = int(re.search(r"MemTotal:\s*(\d+)", open("/proc/meminfo").read()).group(1)) / 2**20
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True,
                            text=True).stdout.strip()
    return (f"{model}, {a.threads} of {cores} cores, {netc.last['isa']}, {memory:.0f} GiB; measured: "
            f"{netc.last['peak_gflops']:.0f} GFLOP/s of float32 "
            f"multiply-adds, {netc.last['bandwidth_gbytes']:.1f} GB/s. {datetime.date.today()}, commit "
            f"{commit or 'unknown'}.")


def put(a, part, lines):
    """Prints a table, or puts it between its markers in the document."""
    text = "\n".join(lines).rstrip() + "\n"
    if a.out == "-":
        return print(f"## {part}\n\n{text}", flush=True)
    document = open(a.out).read()
    begin, end = f"<!-- {part} -->\n", f"<!-- /{part} -->"
    i, j = document.find(begin), document.find(end)
    if i < 0 or j < i:
        sys.exit(f"{a.out} lacks the markers {begin.strip()} .. {end}")
    with open(a.out + ".part", "w") as f:
        f.write(document[:i] + begin + "\n" + text + "\n" + document[j:])
    os.replace(a.out + ".part", a.out)


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("part", nargs="*", help="train, layers, inference, scaling, bf16 (all)")
    ap.add_argument("--python", default=os.environ.get("PYTHON", sys.executable),
                    help="the rivals' Python ($PYTHON)")
    ap.add_argument("--build", default=f"{ROOT}/build", help="folder with netc and netrun")
    ap.add_argument("--budget-minutes", type=float, default=22)
    ap.add_argument("--runs", type=int, default=3, help="turns per rival, where there is time (3)")
    ap.add_argument("--work", default=",".join(TRAIN), help="of train and inference, by commas: "
                    + ",".join(TRAIN))
    ap.add_argument("--modes", default=",".join(MODES), help="of train, by commas: " + ",".join(MODES))
    ap.add_argument("--size", type=int, help="pixels a side instead of the full size")
    ap.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    ap.add_argument("--quick", action="store_true", help="--size 64 --runs 1, every fifth layer, --out -")
    ap.add_argument("--out", help="document to write, - prints (docs/benchmarks.md)")
    a = ap.parse_args()
    if a.quick:
        a.size, a.runs = a.size or 64, 1
    a.out = a.out or ("-" if a.quick or a.size else f"{ROOT}/docs/benchmarks.md")
    for name, chosen, known in (("part", a.part, SHARE), ("--work", a.work.split(","), TRAIN),
                                ("--modes", a.modes.split(","), MODES)):
        for x in chosen:
            if x not in known:
                ap.error(f"{name}: {x} is none of {', '.join(known)}")
    a.work, a.modes = a.work.split(","), a.modes.split(",")
    return a


def main():
    a = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no rival is left behind
    parts = [p for p in SHARE if p in a.part or not a.part]
    order = sorted(parts, key=lambda p: SHARE[p])  # the long one last: it takes what the others leave
    slots = Slots(time.time() + 60 * a.budget_minutes - 20, [SHARE[p] for p in order])
    with tempfile.TemporaryDirectory() as folder:
        put(a, "machine", [machine(a, folder)])
        for p in order:
            put(a, p, {"train": train, "layers": layers, "inference": inference, "scaling": scaling,
                       "bf16": bf16}[p](a, folder, slots.next()[0]))


if __name__ == "__main__":
    main()
