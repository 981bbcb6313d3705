#!/usr/bin/env python3
"""On a machine with an NVIDIA GPU: are its results those of the host, and how fast is it? Runs in a folder
made by tests/gpu/pack.py.

    python3 tests/gpu/check.py [--device cuda:0] [--out gpu.md] [--json gpu.json] [--check-seconds 240]
                               [--measure-seconds 300] [--checks-only] [--measure-only] [--modules NAME ..]
                               [--family NAME ..] [--python PYTHON] [--iterations 50]

Checks. First recorded launches, each kernel by itself (replay.c): which ones are wrong, race, fault or
hang. Then every module: the driver takes all its PTX, and of which family; every function, run once from
the same state, gives the host's outputs, gradients and next state; a training run's losses are the host's;
the same bits twice, and without graphs. On compute capability 9.0 all of that for both families, sm_90a
and sm_80 (NETRUN_CUDA_FAMILY), where a module has both. Where compute-sanitizer is found and time is left,
recorded launches under memcheck and racecheck.

Then the modules of full size are measured, and PTX families and PyTorch beside them where --python
(default: this one) has it with CUDA: eager, channels_last with AMP, the same with torch.compile.

No failure ends the run. What there was no time for is listed as such. Both files are written anew after
each result. Exit status 1 if a check failed."""
import argparse
import array
import csv
import ctypes
import json
import math
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

try:
    import numpy as np
except ImportError:
    np = None

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{ROOT}/tests/bench")
MODES = ("eager", "channels_last_amp", "compile_amp")
# Largest difference of an array (differences); of losses, relative to themselves. Operands of tensor cores
# have 11 bits (tf32) or 8.
EXACT, ROUNDED = 2e-4, 3e-2


class Late(Exception):
    """There is no time left for it."""


def find_driver():
    """The driver's library: the loader's, or one in the places where containers put it."""
    try:
        ctypes.CDLL("libcuda.so.1")
        return None
    except OSError:
        places = ("/usr/local/nvidia/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/wsl/lib")
        return next((f"{p}/libcuda.so.1" for p in places if os.path.exists(f"{p}/libcuda.so.1")), None)


def environment(**more):
    env = dict(os.environ, LD_LIBRARY_PATH=f"{ROOT}/lib:" + os.environ.get("LD_LIBRARY_PATH", ""))
    env.setdefault("CUDA_CACHE_PATH", f"{ROOT}/cache")  # what the driver has compiled once
    env.setdefault("CUDA_CACHE_MAXSIZE", str(4 << 30))
    driver = find_driver()
    if driver:
        env.setdefault("NETRUN_LIBCUDA", driver)
    return {**env, **{k: v for k, v in more.items() if v}}


def run(*args, timeout, check=True, **env):
    try:
        done = subprocess.run([str(a) for a in args], capture_output=True, text=True, env=environment(**env),
                              timeout=max(timeout, 1))
    except subprocess.TimeoutExpired as e:
        raise RuntimeError(f"{os.path.basename(str(args[0]))} {' '.join(map(str, args[1:3]))}: no end after "
                           f"{e.timeout:.0f} s") from None
    if check and done.returncode:
        raise RuntimeError(f"{os.path.basename(str(args[0]))} {' '.join(map(str, args[1:4]))}: "
                           f"{(done.stderr or done.stdout).strip()[-600:]}")
    return done


def netrun(*args, timeout=120, **env):
    return run(f"{ROOT}/netrun", *args, timeout=timeout, **env).stdout


# ---- arrays ----
def write_npy(path, shape, kind, values):
    extents = ", ".join(map(str, shape))
    header = f"{{'descr': '<{kind}4', 'fortran_order': False, 'shape': ({extents},), }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        values.tofile(f)


def values_of(data, integers):
    if np is not None:
        return np.frombuffer(data, "<i4" if integers else "<f4").astype("f8")
    values = array.array("i" if integers else "f")
    values.frombytes(data)
    return values


def read_npy(path):
    with open(path, "rb") as f:
        data = f.read()
    start = 10 + int.from_bytes(data[8:10], "little")
    return values_of(data[start:], b"'<i4'" in data[:start])


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = int.from_bytes(data[:8], "little")
    return {name: values_of(data[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]],
                            t["dtype"] != "F32")
            for name, t in json.loads(data[8:8 + n]).items() if name != "__metadata__"}


def largest(values):
    if np is not None:
        return float(np.abs(values).max(initial=0))
    return max(map(abs, values), default=0)


def apart(x, y, m, least):
    """The largest difference of x and y where |m| > least (m None: everywhere); infinite where a value is
    not finite."""
    if len(x) != len(y):
        return math.inf
    if np is not None:
        off = np.abs(x - y)[np.abs(m) > least] if m is not None else np.abs(x - y)
        return float(off.max(initial=0)) if np.isfinite(y).all() else math.inf
    if not all(map(math.isfinite, y)):
        return math.inf
    return max((abs(u - v) for k, (u, v) in enumerate(zip(x, y)) if m is None or abs(m[k]) > least),
               default=0)


def kind(name):
    """Arrays of a kind have gradients, moments or values of one size: grad_*.npy, *.adam_v, *.weight."""
    return "gradients" if name.startswith("grad_") else name if name.endswith(".npy") else \
        name.rsplit(".", 1)[-1]


def differences(a, b):
    """{name: largest difference}, relative to the array's largest element, or to 1/1000 of the largest of
    its kind: a bias before a normalisation has a gradient of rounding errors. Adam makes of such a
    gradient a step of full length, so where its first moment is that small, the variable is left out.
    Infinite where a value is not finite."""
    scale, out = {}, {}
    for name, values in a.items():
        scale[kind(name)] = max(scale.get(kind(name), 0), largest(values))
    for name, x in a.items():
        m = a.get(f"{name}.adam_m")
        worst = apart(x, b[name], m, 1e-3 * scale["adam_m"] if m is not None else 0)
        out[name] = worst / (max(largest(x), 1e-3 * scale[kind(name)]) or 1)
    return out


# ---- results ----
class Results:
    """Rows of checks and lines of tables, written to both files after each."""

    def __init__(self, a, gpu):
        self.a, self.gpu, self.start, self.lock = a, gpu, time.time(), threading.Lock()
        self.rows, self.lines, self.failed, self.late = [], [], 0, 0
        self.data = {"gpu": gpu, "checks": [], "launches": [], "bench": {}, "rivals": []}

    def note(self, module, what, good, detail):
        """good None: not made."""
        with self.lock:
            word = {True: "yes", False: "NO", None: "not made"}[good]
            detail = detail.replace("\n", " ").replace("|", "/")
            self.rows.append((module, what, word, detail))
            self.data["checks"].append({"module": module, "check": what, "passed": good, "detail": detail,
                                        "at": round(time.time() - self.start, 1)})
            self.failed += good is False
            self.late += good is None
            print(f"{ {True: 'ok  ', False: 'FAIL', None: 'LATE'}[good]} {module}: {what}: {detail}",
                  flush=True)
            self.write()

    def write(self):
        head = (f"{len(self.rows) - self.failed - self.late} of {len(self.rows)} checks passed, "
                f"{self.failed} failed, {self.late} not made, in {time.time() - self.start:.0f} s")
        with open(self.a.out, "w") as f:
            f.write("\n".join(["```", self.gpu.rstrip(), "```", "", *self.lines, "", head, "",
                               "| module | check | passed | |", "|---|---|---|---|",
                               *(f"| {' | '.join(r)} |" for r in self.rows), ""]))
        with open(self.a.json, "w") as f:
            json.dump(self.data, f, indent=1)
        return head


class Checks:
    def __init__(self, results, device, folder, deadline):
        self.r, self.device, self.folder, self.deadline = results, device, folder, deadline
        self.numbers = iter(range(10**6))

    def left(self, most=120):
        left = self.deadline - time.time()
        if left < 2:
            raise Late
        return min(most, left)

    def place(self):
        """A folder of one's own: modules are checked side by side."""
        with self.r.lock:
            path = f"{self.folder}/{next(self.numbers)}"
        os.mkdir(path)
        return path

    def attempt(self, module, what, fn):
        try:
            self.r.note(module, what, *fn())
        except Late:
            self.r.note(module, what, None, "no time left")
        except Exception as e:  # a check that cannot be made has failed
            late = time.time() >= self.deadline - 2
            self.r.note(module, what, None if late else False, f"{type(e).__name__}: {str(e)[:600]}")


# ---- kernels by themselves ----
def replay(c, files, family, tool=()):
    """One process for each file: their work on the host goes side by side."""

    def one(file):
        log = f"{c.place()}/log"
        done = run(*tool, f"{ROOT}/replay", "--device", c.device.split(":")[1], "--json", log,
                   f"{ROOT}/cases/{file}", timeout=c.left(600), check=False,
                   NETRUN_CUDA_FAMILY=family)
        lines = []
        if os.path.exists(log):
            with open(log) as f:
                lines = [dict(json.loads(x), asked=family or "latest") for x in f if x.strip()]
        with c.r.lock:
            c.r.data["launches"] += lines
        text = done.stdout.strip().splitlines()
        for x in text[:-1][:24]:
            print(x, flush=True)
        return done.returncode == 0, (text or [done.stderr.strip()[-300:] or f"status {done.returncode}"])[-1]

    for file in files:
        what = "recorded launches" if not tool else " ".join(tool[:3])
        yield f"{what}, {family or 'latest family'}", file, lambda file=file: one(file)


# ---- modules ----
def inputs_of(c, module):
    """{function: [(name, kind, shape)]} from the text of netrun info."""
    functions, now = {}, None
    for line in netrun("info", module, timeout=c.left()).splitlines():
        if line.startswith("  ") and "launches" in line:
            now = functions.setdefault(line.split(":")[0].strip(), [])
        elif now is not None and line.startswith("    in "):
            name, kind = line.split()[1:3]
            now.append((name, kind[0], [int(x) for x in kind[4:-1].split(",") if x]))
    return functions


def random_array(kind, count):
    rng = random.Random(1)
    if kind == "i":
        return array.array("i", (rng.randrange(2) for _ in range(count)))
    some = [rng.gauss(0, 1) for _ in range(min(count, 9973))]  # a prime: images differ
    return array.array("f", (some * (count // len(some) + 1))[:count])


def exec_both(c, module, function, inputs, family):
    """Runs the function here and there on the same random inputs; the largest difference of any result and
    its name."""
    given, folder = [], c.place()
    for name, kind, shape in inputs:
        if not shape:
            continue  # iteration, epoch, max_iterations
        path = f"{folder}/in_{len(given)}.npy"
        write_npy(path, shape, kind, random_array(kind, math.prod(shape)))
        given += ["--in", f"{name}={path}"]
    results = []
    for where, env in (("cpu", ""), (c.device, family)):
        out = f"{folder}/{where[:3]}"
        netrun("exec", module, function, "--out", out, "--seed", 1, "--max-iterations", 100, "--device",
               where, *given, timeout=c.left(), NETRUN_CUDA_FAMILY=env)
        arrays = {}
        for file in sorted(os.listdir(out)):
            path = f"{out}/{file}"
            arrays.update({file: read_npy(path)} if file.endswith(".npy") else read_safetensors(path))
        results.append(arrays)
    shutil.rmtree(folder)
    found = differences(*results)
    which = max(found, key=found.get)
    bad = sorted((n for n in found if found[n] > EXACT), key=lambda n: -found[n])[:4]
    where = ", ".join(bad) or which
    return found[which], f"{len(found)} arrays, largest difference {found[which]:.2g} ({where})"


def train(c, module, device, iterations, **env):
    out = f"{c.place()}/run"
    netrun("train", module, "--data", "phantom", "--labeled", "50%", "--seed", 3, "--iterations", iterations,
           "--device", device, "--out", out, timeout=c.left(), **env)
    with open(f"{out}/metrics.csv") as f:
        rows = list(csv.reader(f))
    with open(f"{out}/last.safetensors", "rb") as f:
        result = rows[0], [[float(x) for x in r] for r in rows[1:]], f.read()
    shutil.rmtree(out)
    return result


def check_training(c, title, module, iterations, tolerance, family):
    gpu = {}

    def losses():
        head, here, _ = train(c, module, "cpu", iterations)
        gpu["first"] = train(c, module, c.device, iterations, NETRUN_CUDA_FAMILY=family)
        worst = max((abs(x - y) / (abs(x) + 1e-3), head[k], int(r[0]))
                    for r, s in zip(here, gpu["first"][1], strict=True) for k, (x, y) in enumerate(zip(r, s)))
        return worst[0] <= tolerance, (f"{iterations} iterations, largest difference {worst[0]:.2g} "
                                       f"({worst[1]}, iteration {worst[2]})")

    def again(**env):
        a, b = gpu.get("first"), train(c, module, c.device, iterations, NETRUN_CUDA_FAMILY=family, **env)
        if a is None:
            return False, "the first run has failed"
        return a[1] == b[1] and a[2] == b[2], "metrics and checkpoint"

    c.attempt(title, "losses as on the host", losses)
    c.attempt(title, "same bits twice", again)
    c.attempt(title, "same bits without graphs", lambda: again(NETRUN_CUDA_LAUNCH="plain"))


def families_of(c, module, family=""):
    """{family: kernels of it} as the device takes them, and a sentence about them. With
    NETRUN_CUDA_FAMILY=`family`."""
    rows = re.findall(r"^ *(sm_\d+a?) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)  (.*)$",
                      netrun("info", module, "--device", c.device, timeout=c.left(300),
                             NETRUN_CUDA_FAMILY=family), re.M)
    count = {}
    for r in rows:
        count[r[0]] = count.get(r[0], 0) + 1
    spills = [r[6] for r in rows if int(r[2])]
    none = [r[6] for r in rows if int(r[5]) == 0]
    text = ", ".join(f"{n} kernels of {f}"
                     for f, n in sorted(count.items())) + f"; {len(spills)} keep bytes in local memory"
    return count, text + (f"; {len(none)} fit on no multiprocessor: {none[0]}" if none
                          else ""), bool(rows) and not none


def check_module(c, name, info, wanted, iterations):
    module, tolerance, found = f"{ROOT}/{name}.so", EXACT if info["whole"] else ROUNDED, {}

    def taken(family):
        count, text, good = families_of(c, module, family)
        found[family] = count
        return good, text

    c.attempt(name, "the driver takes its PTX", lambda: taken(""))
    for family in wanted:
        title = name if not family else f"{name}, {family}"
        if family and found.get("") and "sm_90a" not in found[""]:
            continue  # the same code again
        if family:
            c.attempt(title, "the driver takes its PTX", lambda: taken(family))
        try:
            functions = inputs_of(c, module)
        except Exception as e:
            c.r.note(title, "netrun info", None if isinstance(e, Late) else False, str(e)[:300])
            continue
        for function, inputs in functions.items():
            if function.endswith(".grads"):
                continue  # exec runs it along with its function

            def one():
                worst, text = exec_both(c, module, function, inputs, family)
                return worst <= tolerance, text

            c.attempt(title, f"{function} as on the host", one)
        if not info["rival"] and not info.get("large"):
            check_training(c, title, module, iterations, ROUNDED, family)


def check_all(c, modules, families, iterations, cases):
    workers = max(1, min(6, (os.cpu_count() or 2) // 2))

    def side_by_side(jobs):
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda job: job(), jobs))

    for family in families:
        same = {x["file"] for x in c.r.data["launches"]
                if x.get("sm_90a") == 0} if family else set()  # nothing of a later family in it
        jobs = replay(c, [x for x in cases if x not in same], family)
        side_by_side([lambda job=job: c.attempt(job[1], job[0], job[2]) for job in jobs])
    # The small ones first: what takes long may find no time.
    order = sorted(modules.items(), key=lambda m: (m[1]["rival"] is not None, bool(m[1].get("large"))))
    side_by_side([lambda m=m: check_module(c, m[0], m[1], families, iterations) for m in order])
    if shutil.which("compute-sanitizer"):
        few = [x for x in cases if x.startswith(("unet_tf32", "acts_tf32"))]
        for tool in ("memcheck", "racecheck"):
            for job in replay(c, few, "", ("compute-sanitizer", "--tool", tool, "--target-processes", "all",
                                           "--error-exitcode", "9")):
                c.attempt(job[1], job[0], job[2])


# ---- measuring ----
def bench(c, module, function, family):
    return json.loads(netrun("bench", module, function, "--device", c.device, "--iterations", 20, "--json",
                             timeout=c.left(180), NETRUN_CUDA_FAMILY=family))


def rival(c, python, job, mode):
    from sides import Failed, Rival
    r = None
    try:
        r = Rival(python, dict(job, mode=mode), c.left(240))
        times = [t for _ in range(5) for t in r.run(c.left(60))]
        return {"seconds": statistics.median(times), "bytes": r.rss, "version": r.info.get("version")}
    except (Failed, OSError, ValueError) as e:
        return {"failed": str(e) or type(e).__name__}
    except Late:
        return {"failed": "no time left"}
    finally:
        if r:
            r.stop()


def tables(own, others, modules):
    """Lines of the tables, of what has been measured so far."""
    lines = ["| work | netc | sm_80 | " + " | ".join(f"{m} | {m} / netc" for m in MODES) + " |",
             "|---" * (3 + 2 * len(MODES)) + "|"]
    memory = ["| memory of the GPU | netc | " + " | ".join(MODES) + " |", "|---" * (2 + len(MODES)) + "|"]
    notes = []
    for name, by_family in own.items():
        best = by_family.get("")
        if not best:
            continue
        info, seconds = modules[name], best["seconds_per_iteration"]
        older = by_family.get("sm_80")
        older = f"{1e3 * older['seconds_per_iteration']:.2f} ms" if older else "–"
        row = [others.get((json.dumps(info["rival"]), m), {"failed": ""}) for m in MODES]
        cells = " | ".join("– | –" if "failed" in r else f"{1e3 * r['seconds']:.2f} ms | "
            f"{r['seconds'] / seconds:.2f}x" for r in row)
        lines.append(f"| {info['what']} | {1e3 * seconds:.2f} ms | {older} | {cells} |")
        memory.append(f"| {info['what']} | {best['arena_bytes'] / 2**30:.2f} GiB | "
                      + " | ".join("–" if "failed" in r else f"{r['bytes'] / 2**30:.2f} GiB" for r in row)
                      + " |")
        a = best["account"]
        notes.append(f"- {name}: kernels {1e3 * (a['seconds'] - a['between_launches']):.2f} ms of "
                     f"{1e3 * a['seconds']:.2f}; dearest kinds: "
                     + ", ".join(f"{k['op']} {1e3 * k['seconds']:.2f} ms" for k in best["kinds"][:6]))
        notes.append(f"- {name}: dearest kernels: " + ", ".join(f"{k['name']} {1e3 * k['seconds']:.2f} ms"
                                                                for k in best["kernels"][:6]))
    notes += [f"- {work}, {m}: {r['failed']}" for (work, m), r in others.items() if r.get("failed")]
    return [*lines, "", *memory, "", *notes]


def measure(c, modules, python, families):
    """netc's modules first, in both families, then the rivals, those that need no compiling first."""
    full = {k: v for k, v in modules.items() if v["rival"]}
    own, others = {}, {}

    def show():
        c.r.lines = tables(own, others, full)
        c.r.data["bench"], c.r.data["rivals"] = own, [{"work": w, "mode": m, **r}
                                                      for (w, m), r in others.items()]
        c.r.write()

    for family in families:
        for name, info in full.items():

            def one():
                b = own.setdefault(name, {})[family] = bench(c, f"{ROOT}/{name}.so", info["function"], family)
                return True, f"{1e3 * b['seconds_per_iteration']:.2f} ms"

            c.attempt(name, f"measured, {family or 'latest family'}", one)
            show()
    for mode in MODES:
        for work in dict.fromkeys(json.dumps(v["rival"]) for v in full.values()):
            what, batch, size = json.loads(work)
            job = {"task": "train", "work": what, "size": size, "batch": batch,
                   "threads": len(os.sched_getaffinity(0)), "device": c.device, "repeat": 10}
            others[work, mode] = r = rival(c, python, job, mode)
            print(f"     PyTorch, {mode}: {work}: "
                  f"{r.get('failed') or str(round(1e3 * r['seconds'], 2)) + ' ms'}", flush=True)
            show()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cuda:0")
    p.add_argument("--out", default="gpu.md")
    p.add_argument("--json", default="gpu.json")
    p.add_argument("--check-seconds", type=float, default=240)
    p.add_argument("--measure-seconds", type=float, default=300)
    p.add_argument("--checks-only", action="store_true")
    p.add_argument("--measure-only", action="store_true")
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--iterations", type=int, default=50)
    p.add_argument("--modules", nargs="*")
    p.add_argument("--family", nargs="*", help="those to be checked and measured: sm_80, or latest (default: "
                                               "both on compute capability 9.0)")
    a = p.parse_args()
    with open(f"{ROOT}/modules.json") as f:
        index = json.load(f)
    modules = {k: v for k, v in index["modules"].items() if not a.modules or k in a.modules}
    cases = [x for x in index["cases"] if not a.modules or x in a.modules]
    gpu = netrun("info", "--device", a.device)
    print(gpu, flush=True)
    families = ["", "sm_80"] if re.search(r"compute capability +9\.0", gpu) else [""]
    if a.family:
        families = ["" if f == "latest" else f for f in a.family]
    r = Results(a, gpu)
    with tempfile.TemporaryDirectory() as folder:
        if not a.measure_only:
            check_all(Checks(r, a.device, folder, time.time() + a.check_seconds), modules, families,
                      a.iterations, cases)
        if not a.checks_only:
            measure(Checks(r, a.device, folder, time.time() + a.measure_seconds), modules, a.python, families)
    print(f"{r.write()}; tables in {a.out}, all results in {a.json}")
    sys.exit(1 if r.failed else 0)


if __name__ == "__main__":
    main()
