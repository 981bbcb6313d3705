#!/usr/bin/env python3
"""Processor time of a sample, netc beside PyTorch's DataLoader with MONAI's transforms: the same recipe on
the same images, which lie in memory, one thread each, feeding nothing.

    python3 -m venv VENV && VENV/bin/pip install torch monai h5py pillow
    VENV/bin/python tests/bench/loaders.py --lits DIR --la DIR

The recipe: crop, flip, rotate, scale, elastic, noise, gamma, brightness, contrast, blur, low resolution, each
with the probability and the ranges that netc has where nothing is said (ir/augment.def), then each in every
sample. MONAI crops first, so that all else costs it a patch; its 3-D elastic deformation smooths a field of
noise, netc's is a spline of control points. Needs build/tests/bench_batch. Prints a table of
docs/benchmarks.md."""
import argparse
import math
import pathlib
import re
import subprocess
import time
import warnings

warnings.filterwarnings("ignore")
import h5py
import numpy as np
import torch
from monai import transforms as mt
from monai.data import DataLoader, Dataset, set_track_meta
from monai.utils import set_determinism
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORDS = "crop flip rotate scale elastic noise gamma brightness contrast blur lowres".split()
BOTH, LINEAR = ["image", "label"], ["bilinear", "nearest"]


def volumes(folder):
    for path in sorted(pathlib.Path(folder).glob("*/mri_norm2.h5"))[:4]:
        with h5py.File(path) as f: yield f["image"][:].astype(np.float32), f["label"][:].astype(np.uint8)


def slices(folder):
    for path in sorted((pathlib.Path(folder) / "images").iterdir())[:8]:
        image = np.asarray(Image.open(path), np.float32)
        label = np.asarray(Image.open(path.parents[1] / "masks" / path.name)) > 0
        yield (image - image.mean()) / image.std(), label.astype(np.uint8)


def windows(size, chance):
    """Of a volume a patch; of a slice a window of 0.8 to 1 of its sides, enlarged."""
    if len(size) == 3: return [mt.SpatialPadd(BOTH, size), mt.RandSpatialCropd(BOTH, size, random_size=False)]
    small = [math.ceil(0.8 * n) for n in size]
    return [mt.RandSpatialCropd(BOTH, small, max_roi_size=size, random_size=True),
            mt.Resized(BOTH, size, mode=["bilinear", "nearest"])]


def bent(size, chance):
    if len(size) == 3:
        return mt.Rand3DElasticd(BOTH, (6, 8), (0, 50), prob=chance, mode=LINEAR, padding_mode="zeros")
    return mt.Rand2DElasticd(BOTH, (16, 16), (0, 3.2), prob=chance, mode=LINEAR, padding_mode="zeros")


def recipe(size, sure):
    """sure: every sample has everything (but flips)."""
    def p(chance): return 1 if sure else chance
    turn, axes = math.pi / 6, len(size)
    blur = {f"sigma_{a}": (0.5, 1) for a in "xyz"}
    upsample = {"upsample_mode": "trilinear" if axes == 3 else "bilinear"}
    return mt.Compose(
        [mt.EnsureChannelFirstd(BOTH, channel_dim="no_channel"), *windows(size, p)] +
        [mt.RandFlipd(BOTH, prob=0.5, spatial_axis=a) for a in range(axes)] +
        [mt.RandAffined(BOTH, prob=p(1 - 0.8 * 0.8), rotate_range=[turn] * (3 if axes == 3 else 1),
                        scale_range=[(-0.3, 0.4)] * axes, mode=LINEAR, padding_mode="zeros"),
         bent(size, p(0.2)), mt.RandGaussianNoised("image", prob=1, std=0.1, sample_std=False),
         mt.RandAdjustContrastd("image", prob=p(0.3), gamma=(0.7, 1.5), retain_stats=True),
         mt.RandScaleIntensityd("image", (-0.25, 0.25), prob=p(0.15)),
         mt.RandScaleIntensityFixedMeand("image", (-0.25, 0.25), preserve_range=True, prob=p(0.15)),
         mt.RandGaussianSmoothd("image", prob=p(0.2 * 0.5), **blur),
         mt.RandSimulateLowResolutiond("image", prob=p(0.25 * 0.5), zoom_range=(0.5, 1), **upsample)])


def by_monai(items, size, sure, samples):
    """Milliseconds of processor time per sample."""
    data = [{"image": image, "label": label} for image, label in items]
    many = [data[i % len(data)] for i in range(samples)]
    loader = DataLoader(Dataset(many, recipe(size, sure)), batch_size=2)
    for batch in DataLoader(Dataset(data[:2], recipe(size, sure)), batch_size=2): pass # warms up
    begin = time.process_time()
    for batch in loader: assert tuple(batch["image"].shape[2:]) == tuple(size)
    return 1e3 * (time.process_time() - begin) / samples


def by_netc(axes, data):
    """The same: as by default, always."""
    command = [ROOT / "build/tests/bench_batch", str(axes), data, *WORDS]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(re.search(rf"^list, {how} +([0-9.]+) ms", out, re.M)[1])
            for how in ("as by default", "always")]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lits")
    parser.add_argument("--la")
    parser.add_argument("--samples", type=int, default=32)
    args = parser.parse_args()
    torch.set_num_threads(1), set_determinism(seed=0), set_track_meta(False)
    print("| sample | recipe | MONAI / netc | netc | MONAI |\n|---|---|---|---|---|")
    work = [("slice of 256x256", args.lits, slices, (256, 256), "folder"),
            ("patch of 112x112x80", args.la, volumes, (112, 112, 80), "la")]
    for what, folder, read, size, name in work:
        if not folder: continue
        items, ours = list(read(folder)), by_netc(len(size), f"{name}:{folder}")
        for sure, how, netc in zip((False, True), ("as drawn by default", "all in every sample"), ours):
            theirs = by_monai(items, size, sure, args.samples)
            print(f"| {what} | {how} | {theirs / netc:.1f}x | {netc:.2f} ms | {theirs:.1f} ms |", flush=True)


if __name__ == "__main__":
    main()
