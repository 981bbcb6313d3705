"""One rival at work, in a process of its own: tests/bench/compare.py starts it and tells it when to run.

    rivals.py JOB          JOB: a JSON object, see compare.py

After start-up and warm-up it prints one JSON line {"ready": {..}}; then, for every line on its input, it
runs once (inference: `repeat` times) and prints {"seconds": .., "rss": ..}. rss is the peak resident size
of this process (VmHWM). A rival whose package is not installed prints {"missing": NAME} and ends, one that
cannot do its work {"failed": REASON}.

On a GPU (job: "device") rss is what PyTorch reserved there; modes ending in _amp use bf16 autocast,
compile_amp channels_last too.

Imports: torch (eager, channels_last, compile, export), onnxruntime, openvino; the networks are
tests/fixtures/reference.py. torch.compile wants a C++ compiler on the path; the export to ONNX wants the
package onnx."""
import json
import os
import re
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{ROOT}/tests/fixtures")
WIDTHS = [64, 128, 256, 512, 1024]


def say(**message):
    print(json.dumps(message), flush=True)


def peak_rss():
    return int(re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read()).group(1)) * 1024


# ---- the networks ----
class Nets:
    """The reference's networks by work, with their parameters made by a pass over small images."""

    def __init__(self, work, mode, size, batch, classes=2):
        import torch
        import torch.nn.functional as F
        import reference
        self.torch, self.R, self.work, self.classes, self.batch = torch, reference, work, classes, batch
        self.S = reference.Store()
        self.S.dropout_channels = lambda x, p: (F.dropout2d if x.dim() == 4 else F.dropout3d)(x, p,
            self.S.train)
        self.size = tuple(size)
        self.fn = {"vnet": lambda x: self.R.vnet(self.S, x, classes, 16),
                   "vnet_dy": lambda x: self.R.vnet(self.S, x, classes, 16, True),
                   "unet": lambda x: self.R.unet(self.S, x, classes, WIDTHS)}.get(work,
                       lambda x: self.R.unet_dy(self.S, x, classes, WIDTHS))
        small = torch.randn((2, 1) + tuple(min(s, 32) for s in self.size))
        with torch.no_grad():
            for name in ("student", "teacher") if work == "acts" else ("student",):
                self.run(name, self.fn, small)
            for name in ("d1", "d2") if work == "acts" else ():
                self.run(name, lambda p, t: self.R.discriminator(self.S, p, t, 64), torch.randn(2, 2, 64, 64),
                         torch.randn(2, 1, 64, 64))
        self.last = "channels_last" in mode or mode == "compile_amp"
        if self.last:
            for n, p in self.S.p.items():
                self.S.p[n] = self.format(p.detach()).requires_grad_(True)
        self.call = torch.compile(self.run_trained) if mode.startswith("compile") else self.run_trained
        self.functions = {"d1": self.discriminate, "d2": self.discriminate}

    def format(self, x):
        formats = {4: self.torch.channels_last, 5: self.torch.channels_last_3d}
        return x.contiguous(memory_format=formats[x.dim()]) if self.last and x.dim() in formats else x

    def run(self, name, fn, *args):
        with self.S.scope(name, root=True):
            return fn(*args)

    def discriminate(self, p, t):
        return self.R.discriminator(self.S, p, t, 64)

    def run_trained(self, name, train, *args):
        self.S.train = train
        with self.S.scope(name, root=True):
            return self.functions.get(name, self.fn)(*args)

    def params(self, name):
        return [p for k, p in self.S.p.items() if k.startswith(name + ".")]

    def images(self):
        return self.format(self.torch.randn((self.batch, 1) + self.size))


# ---- training ----
def training_step(nets):
    """A closure that does one iteration of nets.work."""
    torch, R = nets.torch, nets.R
    F, batch = torch.nn.functional, nets.batch
    x, xu = nets.images(), nets.images()
    y = torch.randint(0, 2, (batch,) + nets.size)
    soft = lambda t: torch.softmax(t, 1)
    optimiser = torch.optim.Adam(nets.params("student"), 1e-3, (0.9, 0.99))
    if nets.work == "vnet":  # models/vnet.net
        optimiser = torch.optim.SGD(nets.params("student"), 0.01, 0.9, weight_decay=1e-4)
    sgd = {n: torch.optim.SGD(nets.params(n), 0.01, 0.9, weight_decay=1e-4) for n in ("d1", "d2")
           if nets.params(n)}

    def supervised():
        logits = nets.call("student", True, x)
        loss = R.ce_dice_fg(logits, y) if nets.work.startswith("vnet") else R.ce_dice(logits, y, 2)
        optimiser.zero_grad(), loss.backward(), optimiser.step()

    def acts():
        student = lambda t, train=True: nets.call("student", train, t)
        d = lambda n, p, t, train=True: nets.call(n, train, p, t)
        one, zero = torch.ones(batch, dtype=torch.long), torch.zeros(batch, dtype=torch.long)
        noisy = xu + 0.5 * torch.randn_like(xu)
        with torch.no_grad():
            target = nets.call("teacher", True, noisy)
        out_l, out_u, out_n = student(x), student(xu), student(noisy)
        con = ((soft(out_u) - soft(target))**2).mean()
        adv = F.cross_entropy(d("d1", soft(out_u), xu, False),
                              one) + F.cross_entropy(d("d2", soft(out_n), xu, False), one)
        loss = R.ce_dice(out_l, y, 2) + 0.1 * (con + adv)
        optimiser.zero_grad(), loss.backward(), optimiser.step()
        with torch.no_grad():
            pl, pu, pn = soft(student(x, False)), soft(student(xu, False)), soft(student(noisy, False))
            qu = soft(nets.call("teacher", True, xu))
        for n, real, fake, image in (("d1", pl, pu, x), ("d2", qu, pn, xu)):
            loss = 0.5 * (F.cross_entropy(d(n, real, image), one) + F.cross_entropy(d(n, fake, xu), zero))
            sgd[n].zero_grad(), loss.backward(), sgd[n].step()
        with torch.no_grad():
            for s, t in zip(nets.params("student"), nets.params("teacher")):
                t.mul_(0.99).add_(s, alpha=0.01)

    return acts if nets.work == "acts" else supervised


# ---- inference ----
def predictor(nets):
    import torch
    nets.S.train = False
    nets.S.p = {n: p.detach() for n, p in nets.S.p.items()}

    class Predict(torch.nn.Module):
        def forward(self, x):
            with nets.S.scope("student", root=True):
                return torch.softmax(nets.fn(x), 1)

    return Predict()


def export(job):
    """The network as ONNX, its weights for netrun, an input and the output PyTorch gives for it."""
    import numpy as np
    import torch
    import onnx  # noqa: F401, what the export needs: missing is said here
    nets = Nets(job["work"], "eager", job["size"], job["batch"])
    for n, b in nets.S.buffers.items():  # running statistics as of a trained network, not 0 and 1
        b.copy_(torch.rand_like(b) * 0.5 + (0.75 if n.endswith("var") else -0.25))
    net, x, folder = predictor(nets), nets.images(), job["folder"]
    with torch.no_grad():
        np.save(f"{folder}/image.npy", x.numpy())
        np.save(f"{folder}/expected.npy", net(x).numpy())
        torch.onnx.export(net, (x,), f"{folder}/net.onnx", dynamo=False, opset_version=17,
                          input_names=["image"], output_names=["probability"])
    tensors = {n: t.detach().numpy() for n, t in {**nets.S.p, **nets.S.buffers}.items()}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for n, t in tensors.items():
        header[n] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{folder}/weights.safetensors", "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + b"".join(np.ascontiguousarray(t).tobytes()
            for t in tensors.values()))
    say(ready={"version": torch.__version__})


def session(job):
    """A function of the input that runs the exported network, and the version of who runs it."""
    path, threads = f"{job['folder']}/net.onnx", job["threads"]
    if job["mode"] == "onnxruntime":
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        s = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda x: s.run(None, {"image": x})[0], ort.__version__
    import openvino as ov
    config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY",
              "INFERENCE_NUM_THREADS": threads}
    request = ov.Core().compile_model(path, "CPU", config).create_infer_request()
    return lambda x: request.infer([x], share_inputs=True)[0], ov.__version__


# ---- the protocol ----
def serve(step, repeat, memory=peak_rss, **ready):
    t = time.perf_counter()
    step()
    say(ready={"first": time.perf_counter() - t, "rss": memory(), **ready})
    for _ in sys.stdin:
        times = []
        for _ in range(repeat):
            t = time.perf_counter()
            step()
            times.append(time.perf_counter() - t)
        say(seconds=times, rss=memory())


def train(job):
    import torch
    torch.set_num_threads(job["threads"])
    device = job.get("device", "cpu")
    if device != "cpu":
        torch.set_default_device(device)
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    step = training_step(Nets(job["work"], job["mode"], job["size"], job["batch"]))
    if job["mode"].endswith("_amp"):
        step = autocast(step, device.split(":")[0])
    serve(step if device == "cpu" else finished(step), job.get("repeat", 1), memory_of(device),
          version=torch.__version__)


def autocast(step, kind):
    import torch

    def run():
        with torch.autocast(kind, dtype=torch.bfloat16):
            step()

    return run


def finished(step):
    """The step, until the GPU is done with it."""
    import torch

    def run():
        step()
        torch.cuda.synchronize()

    return run


def memory_of(device):
    """Peak memory: of a GPU what PyTorch reserved there, else the process's."""
    if device == "cpu":
        return peak_rss
    import torch
    return torch.cuda.max_memory_reserved


def infer(job):
    import numpy as np
    x = np.load(f"{job['folder']}/image.npy")
    if job["mode"] == "torch":
        import torch
        torch.set_num_threads(job["threads"])
        net, image = predictor(Nets(job["work"], "eager", job["size"], job["batch"])), torch.tensor(x)

        def step():
            with torch.no_grad():
                net(image)

        return serve(step, job["repeat"], version=torch.__version__)
    run, version = session(job)
    error = float(np.abs(np.asarray(run(x)) - np.load(f"{job['folder']}/expected.npy")).max())
    serve(lambda: run(x), job["repeat"], version=version, error=error)


def main():
    job = json.loads(sys.argv[1])
    try:
        {"train": train, "export": export, "infer": infer}[job["task"]](job)
    except ImportError as e:
        say(missing=e.name or str(e))
    except Exception as e:  # whatever a rival trips over is its result, not ours
        say(failed=f"{type(e).__name__}: {str(e).strip().splitlines()[0] if str(e).strip() else ''}"[:300])


if __name__ == "__main__":
    main()
