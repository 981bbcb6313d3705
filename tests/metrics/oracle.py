"""Random pairs of masks, and their metrics by MedPy (medpy.metric.binary) and DeepMind's surface-distance.

A pair is a function of its number, in whole numbers, so that tests/metrics/pairs.h makes the same ones."""
import numpy as np
import scipy.ndimage
import types

# surface-distance 0.1 uses names that newer releases of NumPy and SciPy no longer have.
np.Inf = np.inf
scipy.ndimage.filters = types.SimpleNamespace(correlate=scipy.ndimage.correlate)
scipy.ndimage.morphology = types.SimpleNamespace(distance_transform_edt=scipy.ndimage.distance_transform_edt)
import surface_distance.metrics as deepmind
from medpy.metric import binary as medpy

METRICS = ["di", "ja", "ac", "se", "sp", "voe", "asd", "assd", "hd95", "nsd", "rve"]
IGNORED = 255
SPACINGS = [1.0, 0.7, 1.5, 0.1, 2.25, 3.0]
TOLERANCES = [0.0, 0.5, 1.0, 1.4, 2.0, 3.0]


def mix(a, b, c):
    """32 bits of three numbers (the last may be an array)."""
    mask = np.uint64(0xFFFFFFFF)
    h = (np.uint64(a * 0x9E3779B1 & 0xFFFFFFFF) + np.uint64(b * 0x85EBCA77 & 0xFFFFFFFF)
         + np.asarray(c, np.uint64) * np.uint64(0xC2B2AE3D)) & mask
    h ^= h >> np.uint64(16)
    h = h * np.uint64(0x85EBCA6B) & mask
    h ^= h >> np.uint64(13)
    h = h * np.uint64(0xC2B2AE35) & mask
    return h ^ h >> np.uint64(16)


def pair(k, room):
    """Prediction, truth, spacing, tolerance of pair k; axes have 2..room elements. Every third pair has
    specks, every fifth elements to ignore, three in ten an empty mask or two."""
    draw = lambda b, c: int(mix(k, b, c))
    spatial = 2 + k % 2
    dim = [2 + draw(1, a) % (room - 1) for a in range(spatial)]
    spacing = [SPACINGS[draw(2, a) % len(SPACINGS)] for a in range(spatial)]
    at = np.indices(dim).reshape(spatial, -1)
    index = np.arange(at.shape[1])
    masks = []
    for which in range(2):
        mask = np.zeros(at.shape[1], np.uint8)
        for ball in range(1 + draw(3, 0) % 3):
            squares = 0
            for a in range(spatial):
                centre = draw(4 + ball, a) % dim[a] + draw(8 + ball, 3 * which + a) % 3
                squares = squares + (at[a] + 1 - centre)**2
            radius = 1 + draw(12 + ball, which) % max(1, max(dim) // 2)
            mask |= squares <= radius * radius
        if k % 3 == 0:
            mask ^= mix(k, 16 + which, index) % np.uint64(29) == 0
        if k % 10 == 9 or k % 10 == 7 + which:
            mask[:] = 0
        masks.append(mask)
    if k % 5 == 0:
        masks[1][mix(k, 18, index) % np.uint64(7) == 0] = IGNORED
    return (masks[0].reshape(dim), masks[1].reshape(dim), spacing, TOLERANCES[draw(19, 0) % len(TOLERANCES)])


def surface_dice(pred, truth, spacing, tolerance):
    found = deepmind.compute_surface_distances(truth, pred, spacing)
    return deepmind.compute_surface_dice_at_tolerance(found, tolerance)


def expected(pred, truth, spacing, tolerance):
    """The metrics in the order of METRICS; NaN where nothing is divided by nothing. MedPy defines some of
    these as 0, and refuses distances of empty masks."""
    counted = truth != IGNORED
    p, t = (pred == 1) & counted, truth == 1
    flat_p, flat_t = p[counted], t[counted]
    nan = float("nan")
    both, some = p.any() and t.any(), p.any() or t.any()
    jaccard = medpy.jc(flat_p, flat_t) if some else nan
    result = {
        "di": medpy.dc(flat_p, flat_t) if some else nan,
        "ja": jaccard,
        "voe": 1 - jaccard,
        "ac": np.mean(flat_p == flat_t) if counted.any() else nan,
        "se": medpy.sensitivity(flat_p, flat_t) if t.any() else nan,
        "sp": medpy.specificity(flat_p, flat_t) if not flat_t.all() else nan,
        "rve": medpy.ravd(flat_p, flat_t) if t.any() else nan,
        "asd": medpy.asd(p, t, spacing) if both else nan,
        "hd95": medpy.hd95(p, t, spacing) if both else nan,
        "nsd": surface_dice(p, t, spacing, tolerance) if some else nan,
        "assd": nan,
    }
    if both:  # pooled: MedPy's assd is the mean of two means
        there = getattr(medpy, "__surface_distances")
        result["assd"] = np.mean(np.hstack([there(p, t, spacing), there(t, p, spacing)]))
    return [float(result[m]) for m in METRICS]
