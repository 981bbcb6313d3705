#!/usr/bin/env python3
"""What ptxas makes of every kernel of the models at their default sizes, for every kind of GPU: registers,
spills, shared memory. No GPU is needed.

    tests/gpu/registers.py [--build DIR] [--arch A ..] [--kind K ..] [--list FILE] [MODEL ..]

A GPU takes of each code the last text that it runs, as the loader does: what is for sm_90a on 9.0 only.
For sm_75 that is a module of plain f32. --list writes a line for each kernel; printed is, for each model,
kind of arithmetic and GPU: codes, those with mma or wgmma and their most registers and shared memory, the
same of all others, and each kernel that spills.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from static import ROOT, codes

KINDS = {"tf32": [], "f32": ["-D", "tf32=off"], "bf16": ["-D", "precision=bf16"]}
ARCHS = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_120"]
FAMILIES = ["sm_75", "sm_80", "sm_90a"]
TEXT = 400_000  # characters of a text


class Code:
    def __init__(self, name, shared, text):
        self.name, self.shared, self.text = name, shared, text
        self.family = re.search(r"\.target (\w+)", text)[1]
        self.entry = re.search(r"\.visible \.entry (\w+)", text)[1]
        self.tensor = "mma" in text


def taken(all_codes, arch):
    """Entry -> the text that a GPU takes of it."""
    runs = [f for f in FAMILIES if f == arch or (f != "sm_90a"
                                                 and int(f[3:]) <= int(re.sub(r"\D", "", arch)))]
    best = {}
    for c in all_codes:
        if c.family in runs and (c.entry not in best
                                 or runs.index(c.family) > runs.index(best[c.entry].family)):
            best[c.entry] = c
    return list(best.values())


def texts(some):
    """Codes as texts, each of one family."""
    out = []
    for family in FAMILIES:
        size = TEXT
        for c in (c for c in some if c.family == family):
            if size + len(c.text) > TEXT:
                out.append([])
                size = 0
            out[-1].append(c)
            size += len(c.text)
    return out


def assemble(ptxas, arch, some):
    """(code, registers, bytes of spills, bytes of shared memory) of a text's codes."""
    head, end = some[0].text.split(".address_size 64\n", 1)[0], ".address_size 64\n"
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as f:
        f.write(head + end + "".join(c.text.split(end, 1)[1] for c in some))
        f.flush()
        r = subprocess.run([ptxas, "-v", f"-arch={arch}", "-o", "/dev/null", f.name], capture_output=True,
                           text=True)
    if r.returncode:
        sys.exit(f"ptxas -arch={arch}: {r.stderr[-1000:]}")
    if "wgmma" in r.stderr:
        sys.exit(f"ptxas -arch={arch} on wgmma: {r.stderr[-1000:]}")
    by_entry, out = {c.entry: c for c in some}, []
    for part in r.stderr.split("Compiling entry function '")[1:]:
        c = by_entry[part.split("'")[0]]
        spill = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", part)
        registers, shared = int(re.search(r"Used (\d+) registers", part)[1]), re.search(r"(\d+) bytes smem",
            part)
        out.append((c, registers, int(spill[1]) + int(spill[2]),
                    max(c.shared, int(shared[1]) if shared else 0)))
    assert len(out) == len(some), (len(out), len(some))
    return out


def most(rows, at):
    return max((r[at] for r in rows), default=0)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=f"{ROOT}/build")
    p.add_argument("--ptxas", default=shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas")
    p.add_argument("--arch", action="append", choices=ARCHS)
    p.add_argument("--kind", action="append", choices=list(KINDS))
    p.add_argument("--list")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("model", nargs="*", default=["unet", "asenet", "asenet3d"])
    a = p.parse_args()
    listing = open(a.list, "w") if a.list else None
    print("| model | | GPU | codes | spill | most registers | shared | tensor cores: codes | spill | "
          "registers | shared |\n" + "|---" * 11 + "|")
    for model in a.model:
        for kind in a.kind or KINDS:
            done = subprocess.run([f"{a.build}/netc", f"{ROOT}/models/{model}.net", "--target", "ptx",
                                   "--emit", "ptx", "--no-cache", *KINDS[kind]], check=True,
                                  capture_output=True, text=True)
            all_codes = [Code(*c) for c in codes(done.stdout)]
            for arch in a.arch or ARCHS:
                if arch == "sm_75" and kind != "f32":
                    continue
                with ThreadPoolExecutor(a.threads) as pool:
                    rows = [r for part in pool.map(lambda t: assemble(a.ptxas, arch, t),
                                                   texts(taken(all_codes, arch))) for r in part]
                tensor, plain = [r for r in rows if r[0].tensor], [r for r in rows if not r[0].tensor]
                cells = [model, kind, arch] + [x for r in (plain, tensor)
                                               for x in (len(r), sum(s[2] > 0 for s in r), most(r, 1),
                                                         most(r, 3))]
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)
                for c, registers, spill, shared in rows:
                    if spill:
                        print(f"    {c.name} (text for {c.family}): {registers} registers, {spill} bytes of "
                              f"spills, {shared} of shared memory", flush=True)
                    if listing:
                        print(model, kind, arch, c.name, c.family, registers, spill, shared, sep="\t",
                              file=listing)


if __name__ == "__main__":
    main()
