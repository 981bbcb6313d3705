#!/usr/bin/env python3
"""What the way to another spacing and back costs, on real masks and against SimpleITK:

    tests/results/spacing.py LABELS [BUILD] [N]

LABELS is a folder of NIfTI masks ($NETRUN_DATA/hippocampus/labels); BUILD holds netc and netrun (build). A
module that says 1 where its input is nearer to 1 than to 0 predicts the foreground of N (20) masks from
itself, at spacings of prepare { spacing = .. }. Printed: the least and the mean Dice with the mask; and the
largest difference of its probabilities from those of the same road in SimpleITK (DICOMOrient,
ResampleImageFilter with cubic B-splines, the module, linear interpolation to the file's grid), two voxels
away from the border, where the two go on differently. Needs nibabel, numpy and SimpleITK."""
import json
import os
import struct
import subprocess
import sys
import nibabel
import numpy as np
import SimpleITK as sitk

NET = """prepare { intensity = none; spacing = %s; image_order = "cubic" }
net lin(x) { return conv(x, 2, 1) }
student = lin()
predict(image: f32[1, 1, 32, 32, 32]) { return softmax(student(image)) }
"""
STEEP = 8  # of the softmax: its logits are 0 and STEEP * (x - 0.5)


def write_weights(path):
    tensors = {"student.conv1.bias": [0, -STEEP / 2], "student.conv1.weight": [0, STEEP]}
    shapes = {"student.conv1.bias": [2], "student.conv1.weight": [2, 1, 1, 1, 1]}
    head = {n: {"dtype": "F32", "shape": shapes[n], "data_offsets": [8 * i, 8 * i + 8]}
            for i, n in enumerate(tensors)}
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.write(b"".join(struct.pack("<2f", *v) for v in tensors.values()))


def by_simpleitk(path, spacing):
    """Probabilities of class 1 on the file's grid."""
    stored = sitk.ReadImage(path, sitk.sitkFloat32)
    image = sitk.DICOMOrient(stored, "LPS")  # the same axes as RAS, two of them backwards
    image = image[::-1, ::-1, :]
    old, size = np.array(image.GetSpacing()), np.array(image.GetSize())
    step = np.where(abs(spacing / old - 1) < 1e-3, 1, spacing / old)
    count = np.maximum(1, np.rint(size / step)).astype(int)
    first = (size - step * count) / 2 + 0.5 * step - 0.5
    r = sitk.ResampleImageFilter()
    r.SetSize([int(n) for n in count])
    r.SetOutputSpacing([float(s) for s in old * step])
    r.SetOutputOrigin(image.TransformContinuousIndexToPhysicalPoint([float(x) for x in first]))
    r.SetOutputDirection(image.GetDirection())
    r.SetInterpolator(sitk.sitkBSpline)
    fine = r.Execute(image)
    logit = STEEP * (sitk.GetArrayFromImage(fine) - 0.5)
    prob = sitk.GetImageFromArray((1 / (1 + np.exp(-logit))).astype(np.float32))
    prob.CopyInformation(fine)
    back = sitk.Resample(prob, stored, sitk.Transform(), sitk.sitkLinear)
    return sitk.GetArrayFromImage(back).transpose(2, 1, 0)


def dice(a, b):
    return 2 * (a & b).sum() / max(1, a.sum() + b.sum())


def main():
    labels, build = sys.argv[1], os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else "build")
    out = "out/spacing"
    os.makedirs(out + "/in", exist_ok=True)
    names = sorted(n for n in os.listdir(labels) if n.endswith((".nii", ".nii.gz")) and n[0] != ".")
    names = names[:int(sys.argv[3]) if len(sys.argv) > 3 else 20]
    truth = {}
    for n in names:
        mask = nibabel.load(f"{labels}/{n}")
        key = n.split(".")[0]
        truth[key] = np.asarray(mask.dataobj) > 0
        nibabel.save(nibabel.Nifti1Image(truth[key].astype(np.float32), mask.affine), f"{out}/in/{key}.nii")
    write_weights(out + "/w.safetensors")
    for spacing in ([1, 1, 1], [0.7, 0.7, 0.7], [0.9, 1.1, 0.8], [1.25, 1.25, 1.25], [1, 1, 2]):
        with open(f"{out}/m.net", "w") as f:
            f.write(NET % spacing)
        subprocess.run([build + "/netc", out + "/m.net", "-o", out + "/m.so"], check=True)
        subprocess.run(f"{build}/netrun predict {out}/m.so --weights {out}/w.safetensors --in {out}/in "
                       f"--out {out}/out --prob {out}/prob >{out}/files.txt", shell=True, check=True)
        scores, off = [], 0
        for key, mask in truth.items():
            scores.append(dice(np.asarray(nibabel.load(f"{out}/out/{key}.nii.gz").dataobj) > 0, mask))
            is_ = np.asarray(nibabel.load(f"{out}/prob/{key}.nii.gz").dataobj)[..., 1]
            want = by_simpleitk(f"{out}/in/{key}.nii", np.array(spacing, float))
            inner = tuple(slice(2, -2) for _ in range(3))
            off = max(off, float(abs(is_ - want)[inner].max()))
        print(f"spacing {str(spacing):18} Dice least {min(scores):.4f} mean {np.mean(scores):.4f}; "
              f"from SimpleITK's at most {off:.2g}", flush=True)


main()
