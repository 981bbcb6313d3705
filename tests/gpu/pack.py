#!/usr/bin/env python3
"""Packs what tests/gpu/check.py needs into one folder, to be carried to a machine with an NVIDIA GPU:
netrun with the libraries it is linked with, modules compiled for the host and for GPUs, and the rivals.
There only the driver and Python are needed, for rivals PyTorch.

    tests/gpu/pack.py OUT [--build DIR] [--small]

Launches of small networks are recorded for tests/gpu/replay.c. --small leaves out the modules of full
size: minutes of compiling less, nothing to measure. The folder is also written as OUT.tar.xz, a tenth of
its size: there `tar xf OUT.tar.xz`."""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WIDTHS = "[8,16]"
WHOLE = {"tf32": "off"}  # f32 as on the host, but for the order of sums
UNET, ACTS = {"size": "[48,48]", "widths": WIDTHS, "batch": 2}, {"size": "[48,48]", "widths": WIDTHS,
    "batch": 2, "disc_width": 8}
VNET = {"size": "[32,32,16]", "n_filters": 4, "batch": 1}
MIDDLE = {"size": "[96,96]", "widths": "[32,64,128]",
          "batch": 2}  # large enough for the tiles that have code for sm_90a
BF16 = {"precision": "bf16"}
# name: source, training function, options, what it is, the rival's work (None: only checked) with batch and
# size
MODULES = {
    "unet_small": ("unet", "supervised", {**UNET, **WHOLE}, "U-Net, small", None),
    "mean_teacher_small": ("mean_teacher", "mean_teacher", {**UNET, **WHOLE}, "mean teacher, small", None),
    "acts_small": ("asenet", "acts", {**ACTS, **WHOLE}, "ASE-Net, small", None),
    "vnet_small": ("vnet", "supervised", {**VNET, **WHOLE}, "V-Net, small", None),
    "acts3d_small": ("asenet3d", "acts", {"size": "[32,32,16]", "n_filters": 2, "batch": 1, **WHOLE},
                     "ASE-Net 3-D, small", None),
    "unet_small_tf32": ("unet", "supervised", UNET, "U-Net, small, on tensor cores", None),
    "unet_small_bf16": ("unet", "supervised", {**UNET, "precision": "bf16"}, "U-Net, small, bf16", None),
    "acts_small_tf32": ("asenet", "acts", ACTS, "ASE-Net, small, on tensor cores", None),
    "vnet_small_tf32": ("vnet", "supervised", VNET, "V-Net, small, on tensor cores", None),
    "unet_middle_tf32": ("unet", "supervised", MIDDLE, "U-Net, tiles for sm_90a", None),
    "unet_middle_bf16": ("unet", "supervised", {**MIDDLE, **BF16}, "U-Net, tiles for sm_90a, bf16", None),
    "vnet_middle_bf16": ("vnet", "supervised", {"size": "[48,48,32]", "n_filters": 16, "batch": 1, **BF16},
                         "V-Net, tiles for sm_90a, bf16", None),
    "acts4": ("asenet", "acts", {"batch": 4}, "ACTS iteration, 4+4 images of 256x256",
              ("acts", 4, [256, 256])),
    "acts16": ("asenet", "acts", {"batch": 16}, "ACTS iteration, 16+16 images of 256x256",
               ("acts", 16, [256, 256])),
    "unet4": ("unet", "supervised", {"batch": 4}, "U-Net step, 4 images of 256x256", ("unet", 4, [256, 256])),
    "vnet1": ("vnet", "supervised", {"batch": 1}, "V-Net step, 1 x 112x112x80", ("vnet", 1, [112, 112, 80])),
    "acts4_bf16": ("asenet", "acts", {"batch": 4, **BF16}, "ACTS iteration, 4+4 images of 256x256, bf16",
                   ("acts", 4, [256, 256])),
    "unet4_bf16": ("unet", "supervised", {"batch": 4, **BF16}, "U-Net step, 4 images of 256x256, bf16",
                   ("unet", 4, [256, 256])),
    "vnet1_bf16": ("vnet", "supervised", {"batch": 1, **BF16}, "V-Net step, 1 x 112x112x80, bf16",
                   ("vnet", 1, [112, 112, 80])),
}
# Recorded launches: source, options, tolerance, processors of the GPU that is planned for (for one large
# tiles are best, which have code for sm_90a), whether only those on tensor cores. Their arrays hardly shrink
# when packed, so networks are small.
IMAGE, LARGE, ACTS_IMAGE, VOLUME = {"size": "[32,32]", "batch": 1}, {"size": "[16,32]", "batch": 1,
    "widths": "[64,128]"}, {"size": "[32,32]", "batch": 1, "disc_width": 8}, {"size": "[16,16,16]",
        "batch": 1}
CASES = {
    "unet_f32": ("unet", {**IMAGE, "widths": "[8,33]", **WHOLE}, 1e-3, 128, False),
    "unet_tf32": ("unet", {**IMAGE, "widths": "[12,40]"}, 2e-3, 128, False),
    "unet_tf32_large": ("unet", LARGE, 2e-3, 1, True),
    "unet_tf32_odd": ("unet", {"size": "[16,16]", "batch": 2, "widths": "[12,41]"}, 2e-3, 1, True),
    "unet_bf16": ("unet", {**IMAGE, "widths": "[16,24]", **BF16}, 1e-3, 128, False),
    "unet_bf16_large": ("unet", {**LARGE, **BF16}, 1e-3, 1, True),
    "mean_teacher_tf32": ("mean_teacher", {"size": "[16,16]", "batch": 1, "widths": "[8,20]"}, 2e-3, 128,
                          False),
    "vnet_tf32": ("vnet", {**VOLUME, "n_filters": 2}, 2e-3, 128, False),
    "vnet_tf32_large": ("vnet", {**VOLUME, "n_filters": 4}, 2e-3, 1, True),
    "vnet_bf16_large": ("vnet", {**VOLUME, "n_filters": 4, **BF16}, 2e-3, 1, True),
    "acts_f32": ("asenet", {**ACTS_IMAGE, "widths": "[8,16]", **WHOLE}, 4e-3, 128, False),
    "acts_tf32": ("asenet", {**ACTS_IMAGE, "widths": "[8,16]"}, 4e-3, 128, False),
    "acts_tf32_large": ("asenet", {**ACTS_IMAGE, "widths": "[32,64]"}, 4e-3, 1, True),
    "acts_bf16_large": ("asenet", {**ACTS_IMAGE, "widths": "[32,64]", **BF16}, 4e-3, 1, True),
    "acts3d_tf32": ("asenet3d", {**VOLUME, "n_filters": 2}, 2e-3, 128, True),
    "acts3d_bf16_large": ("asenet3d", {**VOLUME, "n_filters": 2, **BF16}, 4e-3, 1, True),
}


def libraries(program):
    """What the program is linked with, but for the C library and its loader, which any Linux has."""
    text = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    paths = re.findall(r"=> (/\S+)", text)
    return [p for p in paths if not re.match(r"(libc|libm|libpthread|libdl|librt|ld-linux.*)\.so",
                                             os.path.basename(p))]


def train_function(build, module, wanted):
    """The module's training function: its name in the file, which `wanted` need not be."""
    info = subprocess.run([f"{build}/netrun", "info", module, "--json"], check=True,
                          capture_output=True).stdout
    names = [f["name"] for f in json.loads(info)["functions"]]
    return wanted if wanted in names else [n for n in names if n != "predict" and not n.endswith(".grads")][0]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("--build", default=f"{ROOT}/build")
    p.add_argument("--small", action="store_true")
    a = p.parse_args()
    for folder in ("lib", "cases"):
        os.makedirs(f"{a.out}/{folder}", exist_ok=True)
    for program in ("netrun", "tests/replay"):
        shutil.copy(f"{a.build}/{program}", a.out)
        for path in libraries(f"{a.build}/{program}"):
            shutil.copy(path, f"{a.out}/lib")
    for path in ("tests/gpu/check.py", "tests/bench/rivals.py", "tests/bench/sides.py",
                 "tests/fixtures/reference.py"):
        os.makedirs(os.path.dirname(f"{a.out}/{path}"), exist_ok=True)
        shutil.copy(f"{ROOT}/{path}", f"{a.out}/{path}")
    index = {"modules": {}, "cases": [f"{name}.cases" for name in CASES]}
    for name, (source, options, tolerance, processors, tensor) in CASES.items():
        print(f"recording {name}", file=sys.stderr, flush=True)
        subprocess.run([f"{a.build}/tests/emulated", f"{ROOT}/models/{source}.net", "-", "--processors",
                        str(processors), "--cases",
                        f"{a.out}/cases/{name}.cases", str(tolerance), *(["--tensor"] if tensor else []),
                        *(f"{k}={v}" for k, v in options.items())], check=True)
    for name, (source, function, options, what, rival) in MODULES.items():
        if a.small and rival:
            continue
        module = f"{a.out}/{name}.so"
        defines = [x for k, v in options.items() for x in ("-D", f"{k}={v}")]
        grads = [] if not rival else ["--no-grads"]
        print(f"netc {source}.net {' '.join(defines)}", file=sys.stderr, flush=True)
        subprocess.run([f"{a.build}/netc", f"{ROOT}/models/{source}.net", "-o", module, "--target",
                        "x86-64-v3,x86-64-v4,ptx", *grads, *defines], check=True)
        index["modules"][name] = {"function": train_function(a.build, module, function), "what": what,
                                  "rival": rival, "whole": options.get("tf32") == "off"}
    with open(f"{a.out}/modules.json", "w") as f:
        json.dump(index, f, indent=1)
    name = os.path.basename(os.path.abspath(a.out))
    with tarfile.open(f"{os.path.abspath(a.out)}.tar.xz", "w:xz", preset=6) as tar:
        tar.add(a.out, name, filter=lambda x: None if os.path.basename(x.name) == "cache" else x)
    print(f"{a.out}: now, on the machine with the GPU: python3 {os.path.basename(a.out)}/tests/gpu/check.py")


if __name__ == "__main__":
    main()
