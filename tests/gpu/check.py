#!/usr/bin/env python3
"""On a machine with an NVIDIA GPU: are its results those of the host, and how fast is it? Runs in a folder made by tests/gpu/pack.py.

    python3 tests/gpu/check.py [--device cuda:0] [--out gpu.md] [--checks-only] [--python PYTHON] [--iterations 50]

Checks, for every module: the driver takes all its PTX; every function, run once from the same state, gives the host's outputs, gradients and
next state (so every kernel's result is seen, at the sizes of the module); a training run's losses are the host's; the same bits twice, and
without graphs. With compute-sanitizer on the path, a run under memcheck and one under racecheck. Then the modules of full size are measured,
and PyTorch beside them where --python (default: this one) has it with CUDA: eager, channels_last with AMP, and both with torch.compile.
Tables go to --out. Exit status 1 if a check fails."""
import argparse
import array
import csv
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{ROOT}/tests/bench")
MODES = ("eager", "channels_last_amp", "compile_amp")
# Largest difference of an array (differences); of losses, relative to themselves. Operands of tensor cores have 11 bits (tf32) or 8.
EXACT, ROUNDED = 2e-4, 3e-2


def netrun(*args, check=True, **env):
    environment = dict(os.environ, LD_LIBRARY_PATH=f"{ROOT}/lib:" + os.environ.get("LD_LIBRARY_PATH", ""), **env)
    done = subprocess.run([f"{ROOT}/netrun", *map(str, args)], capture_output=True, text=True, env=environment)
    if check and done.returncode:
        raise RuntimeError(f"netrun {' '.join(map(str, args))}: {done.stderr.strip()[-600:]}")
    return done


# ---- arrays ----
def write_npy(path, shape, kind, values):
    header = f"{{'descr': '<{kind}4', 'fortran_order': False, 'shape': ({', '.join(map(str, shape))},), }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        values.tofile(f)


def read_npy(path):
    with open(path, "rb") as f:
        data = f.read()
    start = 10 + int.from_bytes(data[8:10], "little")
    values = array.array("i" if b"'<i4'" in data[:start] else "f")
    values.frombytes(data[start:])
    return values


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = int.from_bytes(data[:8], "little")
    out = {}
    for name, t in json.loads(data[8:8 + n]).items():
        if name != "__metadata__":
            values = array.array("f" if t["dtype"] == "F32" else "i")
            values.frombytes(data[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]])
            out[name] = values
    return out


def largest(values):
    return max(map(abs, values), default=0)


def kind(name):
    """Arrays of a kind have gradients, moments or values of one size: grad_*.npy, *.adam_v, *.weight."""
    return "gradients" if name.startswith("grad_") else name if name.endswith(".npy") else name.rsplit(".", 1)[-1]


def differences(a, b):
    """{name: largest difference}, relative to the array's largest element, or to 1/1000 of the largest of its kind: a bias before a normalisation
    has a gradient of rounding errors. Adam makes of such a gradient a step of full length, so where its first moment is that small, the
    variable is left out. Infinite where a value is not finite."""
    scale, out = {}, {}
    for name, values in a.items():
        scale[kind(name)] = max(scale.get(kind(name), 0), largest(values))
    for name, x in a.items():
        y, m = b[name], a.get(f"{name}.adam_m")
        if not all(map(math.isfinite, y)):
            out[name] = math.inf
            continue
        pairs = zip(x, y, strict=True)
        if m is not None:
            pairs = (p for p, g in zip(pairs, m, strict=True) if abs(g) > 1e-3 * scale["adam_m"])
        out[name] = max((abs(u - v) for u, v in pairs), default=0) / (max(largest(x), 1e-3 * scale[kind(name)]) or 1)
    return out


# ---- checks ----
class Checks:
    def __init__(self, device, folder):
        self.device, self.folder, self.rows, self.failed = device, folder, [], 0

    def note(self, module, what, good, detail):
        self.rows.append((module, what, "yes" if good else "NO", detail))
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {module}: {what}: {detail}", flush=True)

    def attempt(self, module, what, fn):
        try:
            self.note(module, what, *fn())
        except Exception as e:  # a check that cannot be made has failed
            self.note(module, what, False, f"{type(e).__name__}: {str(e)[:300]}")


def inputs_of(module):
    """{function: [(name, kind, shape)]} from the text of netrun info."""
    functions, now = {}, None
    for line in netrun("info", module).stdout.splitlines():
        if line.startswith("  ") and "launches" in line:
            now = functions.setdefault(line.split(":")[0].strip(), [])
        elif now is not None and line.startswith("    in "):
            name, kind = line.split()[1:3]
            now.append((name, kind[0], [int(x) for x in kind[4:-1].split(",") if x]))
    return functions


def exec_both(c, module, function, inputs):
    """Runs the function here and there on the same random inputs; the largest difference of any result and its name."""
    given, rng = [], random.Random(1)
    for name, kind, shape in inputs:
        if not shape:
            continue  # iteration, epoch, max_iterations
        count = math.prod(shape)
        path = f"{c.folder}/in_{len(given)}.npy"
        values = array.array("i", (rng.randrange(2) for _ in range(count))) if kind == "i" else array.array("f", (rng.gauss(0, 1) for _ in range(count)))
        write_npy(path, shape, kind, values)
        given += ["--in", f"{name}={path}"]
    outs = {}
    for where in ("cpu", c.device):
        outs[where] = out = f"{c.folder}/exec_{'cpu' if where == 'cpu' else 'gpu'}"
        shutil.rmtree(out, ignore_errors=True)
        netrun("exec", module, function, "--out", out, "--seed", 1, "--max-iterations", 100, "--device", where, *given)
    results = []
    for where in outs:
        arrays = {}
        for file in sorted(os.listdir(outs[where])):
            path = f"{outs[where]}/{file}"
            arrays.update({file: read_npy(path)} if file.endswith(".npy") else read_safetensors(path))
        results.append(arrays)
    found = differences(*results)
    which = max(found, key=found.get)
    return found[which], which, len(found)


def check_functions(c, name, module, tolerance):
    for function, inputs in inputs_of(module).items():
        if function.endswith(".grads"):
            continue  # exec runs it along with its function

        def one():
            worst, which, n = exec_both(c, module, function, inputs)
            return worst <= tolerance, f"{n} arrays, largest difference {worst:.2g} ({which})"

        c.attempt(name, f"{function} as on the host", one)


def train(c, module, out, device, iterations, **env):
    shutil.rmtree(out, ignore_errors=True)
    netrun("train", module, "--data", "phantom", "--labeled", "50%", "--seed", 3, "--iterations", iterations, "--device", device, "--out", out, **env)
    with open(f"{out}/metrics.csv") as f:
        rows = list(csv.reader(f))
    with open(f"{out}/last.safetensors", "rb") as f:
        return rows[0], [[float(x) for x in r] for r in rows[1:]], f.read()


def check_training(c, name, module, iterations, tolerance):
    out = f"{c.folder}/run"
    gpu = {}

    def losses():
        head, here, _ = train(c, module, out, "cpu", iterations)
        gpu["first"] = train(c, module, out, c.device, iterations)
        worst = max((abs(x - y) / (abs(x) + 1e-3), head[k], int(r[0])) for r, s in zip(here, gpu["first"][1], strict=True) for k, (x, y) in enumerate(zip(r, s)))
        return worst[0] <= tolerance, f"{iterations} iterations, largest difference {worst[0]:.2g} ({worst[1]}, iteration {worst[2]})"

    def again(**env):
        a, b = gpu["first"], train(c, module, out, c.device, iterations, **env)
        return a[1] == b[1] and a[2] == b[2], "metrics and checkpoint"

    c.attempt(name, "losses as on the host", losses)
    c.attempt(name, "same bits twice", again)
    c.attempt(name, "same bits without graphs", lambda: again(NETRUN_CUDA_LAUNCH="plain"))


def check_sanitizer(c, name, module):
    for tool in ("memcheck", "racecheck"):
        if not shutil.which("compute-sanitizer"):
            continue
        out = f"{c.folder}/sanitized"

        def one():
            shutil.rmtree(out, ignore_errors=True)
            env = dict(os.environ, LD_LIBRARY_PATH=f"{ROOT}/lib:" + os.environ.get("LD_LIBRARY_PATH", ""))
            done = subprocess.run(["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", f"{ROOT}/netrun", "train", module, "--data", "phantom",
                                   "--iterations", "1", "--device", c.device, "--out", out], capture_output=True, text=True, env=env, timeout=900)
            return done.returncode == 0, (done.stdout.strip().splitlines() or ["no output"])[-1]

        c.attempt(name, f"compute-sanitizer {tool}", one)


def check(c, name, module, info, iterations):
    c.attempt(name, "the driver takes its PTX", lambda: (True, f"{len(netrun('info', module, '--device', c.device).stdout.splitlines()) - 7} kernels"))
    small = not info["rival"]
    tolerance = EXACT if info["whole"] else ROUNDED
    check_functions(c, name, module, tolerance)
    if small:
        check_training(c, name, module, iterations, ROUNDED)
        check_sanitizer(c, name, module)


# ---- measuring ----
def bench(c, module, function):
    return json.loads(netrun("bench", module, function, "--device", c.device, "--iterations", 20, "--json").stdout)


def rival(python, job, mode):
    from sides import Failed, Rival
    try:
        r = Rival(python, dict(job, mode=mode), 420)
    except Failed as e:
        return {"failed": str(e)}
    try:
        times = [t for _ in range(5) for t in r.run(120)]
        return {"seconds": statistics.median(times), "bytes": r.rss, "version": r.info.get("version")}
    except Failed as e:
        return {"failed": str(e)}
    finally:
        r.stop()


def measure(c, modules, python):
    lines = ["| work | netc | " + " | ".join(f"{m} | {m} / netc" for m in MODES) + " |", "|---" * (2 + 2 * len(MODES)) + "|"]
    memory = ["| memory of the GPU | netc | " + " | ".join(MODES) + " |", "|---" * (2 + len(MODES)) + "|"]
    notes = []
    for name, info in modules.items():
        if not info["rival"]:
            continue
        try:
            own = bench(c, f"{ROOT}/{name}.so", info["function"])
        except RuntimeError as e:
            notes.append(f"{name}: {e}")
            continue
        seconds = own["seconds_per_iteration"]
        work, batch, size = info["rival"]
        job = {"task": "train", "work": work, "size": size, "batch": batch, "threads": len(os.sched_getaffinity(0)), "device": c.device, "repeat": 10}
        others = [rival(python, job, m) for m in MODES]
        cells = " | ".join("– | –" if "failed" in r else f"{1e3 * r['seconds']:.2f} ms | {r['seconds'] / seconds:.2f}x" for r in others)
        lines.append(f"| {info['what']} | {1e3 * seconds:.2f} ms | {cells} |")
        memory.append(f"| {info['what']} | {own['arena_bytes'] / 2**30:.2f} GiB | " + " | ".join("–" if "failed" in r else f"{r['bytes'] / 2**30:.2f} GiB" for r in others) + " |")
        notes += [f"{name}, {m}: {r['failed']}" for m, r in zip(MODES, others) if "failed" in r]
        a = own["account"]
        notes.append(f"{name}: kernels {1e3 * (a['seconds'] - a['between_launches']):.2f} ms of {1e3 * a['seconds']:.2f}; dearest kinds: "
                     + ", ".join(f"{k['op']} {1e3 * k['seconds']:.2f} ms" for k in own["kinds"][:6]))
        print(lines[-1], flush=True)
    return [*lines, "", *memory, "", *(f"- {n}" for n in notes)]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cuda:0")
    p.add_argument("--out", default="gpu.md")
    p.add_argument("--checks-only", action="store_true")
    p.add_argument("--measure-only", action="store_true")
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--iterations", type=int, default=50)
    p.add_argument("--modules", nargs="*")
    a = p.parse_args()
    with open(f"{ROOT}/modules.json") as f:
        modules = {k: v for k, v in json.load(f).items() if not a.modules or k in a.modules}
    start, lines = time.time(), []
    with tempfile.TemporaryDirectory() as folder:
        c = Checks(a.device, folder)
        gpu = netrun("info", "--device", a.device).stdout
        print(gpu)
        for name, info in modules.items():
            if not a.measure_only:
                check(c, name, f"{ROOT}/{name}.so", info, a.iterations)
        if not a.checks_only:
            lines = measure(c, modules, a.python)
    with open(a.out, "w") as f:
        f.write("\n".join(["```", gpu.rstrip(), "```", "", *lines, "", "| module | check | passed | |", "|---|---|---|---|",
                           *(f"| {' | '.join(r)} |" for r in c.rows), ""]))
    print(f"{len(c.rows) - c.failed} of {len(c.rows)} checks passed in {time.time() - start:.0f} s; tables in {a.out}")
    sys.exit(1 if c.failed else 0)


if __name__ == "__main__":
    main()
