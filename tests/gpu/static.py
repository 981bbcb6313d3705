#!/usr/bin/env python3
"""What can be said of the kernels for tensor cores without a GPU, as the table of
docs/design/tensor-cores.md: registers and shared memory by ptxas, how many blocks of them a multiprocessor
holds, and, where nvdisasm is found, the instructions of the loop over steps.

    tests/gpu/static.py [--build DIR] [--arch sm_80] [--nvdisasm PATH] [LAYER ..]

LAYER: 64x256, 3x3 64 -> 64 at 256x256; 1x1:192x256: pointwise; dybac:64x256: DyBAC.

With --arch sm_90a those that multiply by wgmma, whose products are a warp's share of an instruction of
four; bytes are still those for each mma they stand for.
"""
import argparse
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Two layers: the second one has a gradient of its image.
NET = """net two(x; k) {{
  x = conv(x, {c}, {k}, pad = {p})
  return conv(x, {c}, {k}, pad = {p})
}}
w = two({k})
train t {{
  batch labeled {{ image: f32[4, {c}, {s}, {s}] }}
  update w with adam(1e-3) {{ minimize mean(w(labeled.image) * w(labeled.image)) }}
}}
"""
# Of DyBAC's layers the kernels that compute depthwise results on the way.
DYBAC = """use "{root}/models/blocks/dybac.net"
net two(x;) {{
  x = relu(batchnorm(dybac(x, {c}, gate = on)))
  return relu(batchnorm(dybac(x, {c}, gate = on)))
}}
w = two()
train t {{
  batch labeled {{ image: f32[4, {c}, {s}, {s}] }}
  update w with adam(1e-3) {{ minimize mean(w(labeled.image) * w(labeled.image)) }}
}}
"""
TILES = [(128, 128, 8), (128, 64, 4), (64, 64, 4), (128, 32, 4), (64, 32, 2), (128, 16, 4), (32, 32, 2)]
# Registers, bytes of shared memory, warps of a multiprocessor (CUDA C++ Programming Guide, technical
# specifications).
LIMITS = {"sm_80": (65536, 163 << 10, 64), "sm_86": (65536, 99 << 10, 48), "sm_89": (65536, 99 << 10, 48),
          "sm_90": (65536, 227 << 10, 64), "sm_90a": (65536, 227 << 10, 64), "sm_100": (65536, 227 << 10, 64),
          "sm_120": (65536, 99 << 10, 48)}


def netc(build, source, emit, extra):
    return subprocess.run([f"{build}/netc", source, "--target", "ptx", "--emit", emit, "--no-grads",
                           "--no-cache", *extra], check=True, capture_output=True, text=True).stdout


def kernels(text):
    """Name -> text of the kernels for a GPU."""
    return {m[1]: m[2] for m in re.finditer(r'^kernel "([^"]*)" lanes 32 (.*?)^}\n', text, re.M | re.S)}


def codes(ptx):
    """(name, bytes of shared memory, PTX) of every code."""
    found = re.finditer(r'^// kernel "([^"]*)", (\d+) bytes of shared memory\n(.*?)(?=^// kernel "|\Z)', ptx,
                        re.M | re.S)
    return [(m[1], int(m[2]), m[3]) for m in found]


def tile(body):
    warps = int(re.search(r"warps (\d+)", body)[1])
    results = sum(int(n) for n in re.findall(r'regs (\d+) "sum"', body)) * 32 * warps
    return next((t for t in TILES if t[0] * t[1] == results and t[2] == warps), (results // 64, 64, warps))


def loop(nvdisasm, cubin):
    """Instructions of the smallest loop that holds all multiplications of matrices."""
    text = subprocess.run([nvdisasm, "-c", cubin], check=True, capture_output=True, text=True).stdout
    labels, ins, best = {}, [], None
    for line in text.splitlines():
        if m := re.match(r"\s*(\.L_x_\d+):", line):
            labels[m[1]] = len(ins)
        elif m := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            ins.append(m[1])
    for i, s in enumerate(ins):
        m = re.search(r"BRA .*`\((\.L_x_\d+)\)", s)
        if m and labels.get(m[1], i + 1) <= i:
            ops = Counter(re.sub(r"^@!?U?P\d+ ", "", x).split()[0].split(".")[0]
                          for x in ins[labels[m[1]] : i + 1])
            if ops["HMMA"] + ops["HGMMA"] and (not best or sum(ops.values()) < sum(best.values())):
                best = ops
    return best


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=f"{ROOT}/build")
    p.add_argument("--arch", default="sm_80")
    p.add_argument("--nvdisasm", default=shutil.which("nvdisasm") or "/usr/local/cuda/bin/nvdisasm")
    p.add_argument("--ptxas", default=shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas")
    p.add_argument("-D", action="append", default=[])
    p.add_argument("layer", nargs="*", default=["64x256", "128x128", "256x64", "512x32", "1x1:192x256"])
    a = p.parse_args()
    regs_all, shared_all, warps_all = LIMITS[a.arch]
    print(f"| layer | | tile | registers | shared | blocks, warps ({a.arch}) | loop: instructions, mma | "
          f"bytes per mma |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as d:
        seen = set()
        for layer in a.layer:
            point, dybac, size = layer.startswith("1x1:"), layer.startswith("dybac:"), layer.split(":")[-1]
            c, s = (int(x) for x in size.split("x"))
            k = 1 if point else 3
            with open(f"{d}/l.net", "w") as f:
                f.write((DYBAC if dybac else NET).format(c=c, s=s, k=k, p=k // 2, root=ROOT))
            extra = [x for v in a.D for x in ("-D", v)]
            body = kernels(netc(a.build, f"{d}/l.net", "kernels", extra))
            for name, shared, text in codes(netc(a.build, f"{d}/l.net", "ptx", extra)):
                if "mma_" not in name or (".target sm_90a" in text) != (a.arch == "sm_90a"):
                    continue
                if dybac != (name.startswith("dybac:") or "bwd_w_dw" in name):
                    continue
                with open(f"{d}/k.ptx", "w") as f:
                    f.write(text)
                said = subprocess.run([a.ptxas, "-v", f"-arch={a.arch}", "-o", f"{d}/k.cubin", f"{d}/k.ptx"],
                                      check=True, capture_output=True, text=True).stderr
                registers = int(re.search(r"Used (\d+) registers", said)[1])
                m, n, warps = tile(body[name])
                blocks = min(regs_all // ((registers + 7) // 8 * 8 * 32 * warps),
                             shared_all // (shared + 1024), warps_all // warps)
                ops = loop(a.nvdisasm, f"{d}/k.cubin") if os.path.exists(a.nvdisasm) else None
                mma = m * n // 64  # for 64 bytes of every row and column
                copied = "-" if dybac else (m + n) * 64 // mma
                inner = f"{sum(ops.values())}, {ops['HMMA'] + ops['HGMMA']}" if ops else "-"
                row = (f"| {'DyBAC' if dybac else f'{k}x{k}'} {c}->{c} @{s} | {name.split(':')[3]} | "
                       f"{m}x{n} | {registers} | {shared} | {blocks}, {blocks * warps} | {inner} | "
                       f"{copied} |")
                if row not in seen:
                    print(row)
                seen.add(row)


if __name__ == "__main__":
    main()
