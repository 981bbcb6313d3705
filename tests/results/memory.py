#!/usr/bin/env python3
"""What netrun predict says it takes at most against what it takes, on a made-up CT of 512 x 512 x 600 and a
V-Net of 14 classes with windows of 96 x 96 x 96:

    tests/results/memory.py [BUILD] [FOLDER] [X,Y,Z]

BUILD holds netc and netrun (build). For no limit and for --memory 2G and 1.7G it prints GiB said, GiB at
the peak (ru_maxrss) and seconds. It fails if a peak is above what was said or above 3 GiB, if it is more than
15 % below what was said, or if the masks' bytes differ. Windows do not overlap, so that it takes minutes.
Needs nothing but Python."""
import os
import random
import re
import struct
import subprocess
import sys
import time


def write_volume(path, dim):
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *dim, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)  # int16
    struct.pack_into("<8f", head, 76, 1, 0.8, 0.8, 1, 1, 1, 1, 1)
    struct.pack_into("<f", head, 108, 352)
    struct.pack_into("<h", head, 254, 1)
    turned = ((-0.8, 0, 0, 200), (0, -0.8, 0, 200), (0, 0, 1, -300))  # LPS
    for row, step in enumerate(turned):
        struct.pack_into("<4f", head, 280 + 16 * row, *step)
    head[344:348] = b"n+1\0"
    noise = random.Random(1)
    with open(path, "wb") as f:
        f.write(head)
        for _ in range(dim[2]):
            f.write(noise.randbytes(2 * dim[0] * dim[1]))


def run(command):
    """Standard error, GiB at the peak and seconds."""
    start = time.time()
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exec " + command + " 2>said.txt"], os.environ)
    _, status, usage = os.wait4(pid, 0)
    said = open("said.txt").read()
    if status:
        sys.exit(f"{command}\n{said}")
    return said, usage.ru_maxrss / 2**20, time.time() - start


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    folder = sys.argv[2] if len(sys.argv) > 2 else "out/memory"
    dim = [int(n) for n in (sys.argv[3] if len(sys.argv) > 3 else "512,512,600").split(",")]
    model = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../models/vnet.net")
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    write_volume("ct.nii", dim)
    run(f"{build}/netc {model} -D classes=14 -D n_filters=4 -D 'size=[96,96,96]' -D batch=1 -o vnet.so")
    run(f"{build}/netrun train vnet.so --data phantom --iterations 1 --force --out run >out.txt")
    wrong = 0
    for limit in ("", "--memory 2G", "--memory 1.7G"):
        said, peak, seconds = run(f"{build}/netrun predict vnet.so --weights run/last.safetensors --in ct.nii"
                                  f" --out {'mask' if limit else 'whole'}.nii --overlap 0 {limit}")
        most = float(re.search(r"([\d.]+) GiB of memory at most", said).group(1))
        print(f"{limit or 'no limit':14} said {most:.2f} GiB, peak {peak:.3f} GiB, {seconds:.0f} s",
              flush=True)
        wrong += peak > most + 0.005 or peak > 3 or peak < 0.85 * most
        wrong += bool(limit) and open("mask.nii", "rb").read() != open("whole.nii", "rb").read()
    sys.exit(1 if wrong else 0)


main()
