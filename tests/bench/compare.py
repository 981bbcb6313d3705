#!/usr/bin/python3
"""One training iteration in PyTorch eager and in netc, on the same machine, in one run: tests/bench/compare.py [WORK]... [--runs N]

WORK: acts (ASE-Net 2-D, 4+4 images of 256x256), unet, unet_dy (4 images), vnet (1 x 112x112x80); default all. Both sides take turns,
with as many threads as there are cores; the table gives medians, the ratio, and peak resident memory of each
process. Needs python3-torch and build/netc, build/netrun."""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = {
    "acts": ("asenet.net", {}, "acts"),
    "unet": ("unet.net", {}, "supervised"),
    "unet_dy": ("../tests/bench/unet_dy.net", {}, "supervised"),
    "vnet": ("vnet.net", {"batch": 1}, "supervised"),
}


def torch_side(work, runs):
    """Runs in a process of its own: prints seconds per iteration and the peak resident size."""
    sys.path.insert(0, f"{ROOT}/tests/fixtures")
    import torch
    import torch.nn.functional as F
    import reference as R
    torch.set_num_threads(os.cpu_count())
    S = R.Store()
    S.dropout_channels = lambda x, p: (F.dropout2d if x.dim() == 4 else F.dropout3d)(x, p, S.train)
    size, batch, widths = ((112, 112, 80), 1, None) if work == "vnet" else ((256, 256), 4, [64, 128, 256, 512, 1024])
    x, y = torch.randn(batch, 1, *size), torch.randint(0, 2, (batch,) + size)
    xu = torch.randn(batch, 1, *size)
    soft = lambda t: torch.softmax(t, 1)

    def net(name, fn, *args, train=True):
        S.train = train
        with S.scope(name, root=True):
            return fn(S, *args)

    def dry():
        with torch.no_grad():
            if work == "vnet":
                net("student", R.vnet, torch.randn(2, 1, 32, 32, 32), 2, 16)
            elif work == "unet":
                net("student", R.unet, x[:, :, :32, :32], 2, widths)
            else:
                for n in ("student", "teacher"):
                    net(n, R.unet_dy, x[:, :, :32, :32], 2, widths)
                for n in ("d1", "d2"):
                    net(n, R.discriminator, torch.randn(2, 2, 64, 64), torch.randn(2, 1, 64, 64), 64)

    dry()
    params = lambda n: [p for k, p in S.p.items() if k.startswith(n + ".")]
    adam = torch.optim.Adam(params("student"), 1e-3, (0.9, 0.99))
    sgd = {n: torch.optim.SGD(params(n), 0.01, 0.9, weight_decay=1e-4) for n in ("d1", "d2") if params(n)}

    def supervised():
        fn, extra = {"vnet": (R.vnet, (2, 16)), "unet": (R.unet, (2, widths)), "unet_dy": (R.unet_dy, (2, widths))}[work]
        loss = R.ce_dice(net("student", fn, x, *extra), y, 2)
        adam.zero_grad(), loss.backward(), adam.step()

    def acts():
        student = lambda t, train=True: net("student", R.unet_dy, t, 2, widths, train=train)
        teacher = lambda t: net("teacher", R.unet_dy, t, 2, widths)
        d = lambda n, p, t, train=True: net(n, R.discriminator, p, t, 64, train=train)
        one, zero = torch.ones(batch, dtype=torch.long), torch.zeros(batch, dtype=torch.long)
        noisy = xu + 0.5 * torch.randn_like(xu)
        with torch.no_grad():
            target = teacher(noisy)
        out_l, out_u, out_n = student(x), student(xu), student(noisy)
        con = ((soft(out_u) - soft(target))**2).mean()
        adv = F.cross_entropy(d("d1", soft(out_u), xu, False), one) + F.cross_entropy(d("d2", soft(out_n), xu, False), one)
        loss = R.ce_dice(out_l, y, 2) + 0.1 * (con + adv)
        adam.zero_grad(), loss.backward(), adam.step()
        with torch.no_grad():
            pl, pu, pn = soft(student(x, False)), soft(student(xu, False)), soft(student(noisy, False))
            qu = soft(teacher(xu))
        for n, real, fake, image in (("d1", pl, pu, x), ("d2", qu, pn, xu)):
            loss = 0.5 * (F.cross_entropy(d(n, real, image), one) + F.cross_entropy(d(n, fake, xu), zero))
            sgd[n].zero_grad(), loss.backward(), sgd[n].step()
        with torch.no_grad():
            for s, t in zip(params("student"), params("teacher")):
                t.mul_(0.99).add_(s, alpha=0.01)

    step = acts if work == "acts" else supervised
    step()  # warm-up
    times = []
    for _ in range(runs):
        t = time.time()
        step()
        times.append(time.time() - t)
    print(json.dumps({"seconds": times, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "torch": torch.__version__}))


def run_json(args):
    return json.loads(subprocess.run(args, check=True, capture_output=True, text=True).stdout)


def compare(work, runs, folder):
    model, options, fn = WORK[work]
    torch = run_json([sys.executable, __file__, "--torch-side", work, "--runs", str(runs)])
    row = {"work": work, "torch": statistics.median(torch["seconds"]), "torch_rss": torch["rss"], "version": torch["torch"]}
    module = f"{folder}/{work}.so"
    t = time.time()
    defines = [a for k, v in options.items() for a in ("-D", f"{k}={v}")]
    subprocess.run([f"{ROOT}/build/netc", f"{ROOT}/models/{model}", "-o", module] + defines, check=True)
    row["compile"] = time.time() - t
    bench = run_json([f"{ROOT}/build/netrun", "bench", module, fn, "--json", "--iterations", str(runs + 1)])
    row["netc"], row["netc_rss"] = bench["seconds_per_iteration"], bench["peak_rss_bytes"]
    return row


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("work", nargs="*", choices=[*WORK, []])
    ap.add_argument("--runs", type=int, default=3)
    ap.add_argument("--torch-side", dest="torch_side")
    a = ap.parse_args()
    if a.torch_side:
        return torch_side(a.torch_side, a.runs)
    print("| work | PyTorch eager | netc | ratio | memory PyTorch | netc | ratio | netc compiles in |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for work in a.work or WORK:
            r = compare(work, a.runs, folder)
            print(f"| {work} | {r['torch']:.2f} s | {r['netc']:.2f} s | {r['torch'] / r['netc']:.2f}x | {r['torch_rss'] / 2**30:.2f} GiB | "
                  f"{r['netc_rss'] / 2**30:.2f} GiB | {r['torch_rss'] / r['netc_rss']:.2f}x | {r['compile']:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
