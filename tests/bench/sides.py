"""The two sides of a comparison: netc's programs, and a rival in a process of its own that runs when it is
told to."""
import array
import json
import os
import queue
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


class Failed(Exception):
    """A side has no result; the text says why and goes into the table."""


class Rival:
    """rivals.py with one job. `first` is its first run's time, `info` what it said about itself."""

    def __init__(self, python, job, seconds):
        self.process = subprocess.Popen([python, f"{HERE}/rivals.py", json.dumps(job)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, bufsize=1,
                                        start_new_session=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.info = self._answer(seconds, "its first run")["ready"]
        except BaseException:
            self.stop()
            raise
        self.first, self.rss = self.info.get("first", 0), self.info.get("rss", 0)

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def _answer(self, seconds, what):
        try:
            answer = self.lines.get(timeout=max(seconds, 1))
        except queue.Empty:
            self.stop()
            raise Failed(f"{what} took over {seconds:.0f} s")
        if answer is None:
            raise Failed(f"ended without a word, status {self.process.wait()}")
        for key, text in (("missing", "missing: %s"), ("failed", "%s")):
            if key in answer:
                self.stop()
                raise Failed(text % answer[key])
        return answer

    def run(self, seconds):
        """One turn: the list of times."""
        self.process.stdin.write("run\n")
        answer = self._answer(seconds, "a run")
        self.rss = answer["rss"]
        return answer["seconds"]

    def stop(self):
        """Ends the process and those it started (compilers)."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()


class Netc:
    """A module and its measurements."""

    def __init__(self, build, source, options, output, threads, flags=()):
        self.build, self.module, self.threads = build, output, threads
        defines = [a for k, v in options.items() for a in ("-D", f"{k}={v}")]
        start = time.time()
        done = subprocess.run([f"{build}/netc", f"{ROOT}/{source}", "-o", output, "--no-cache", *flags]
                              + defines, capture_output=True, text=True)
        if done.returncode:
            raise Failed(done.stderr.strip()[:300])
        self.compile_seconds = time.time() - start
        self.rss, self.last = 0, None

    def run(self, function, iterations=1, flags=(), timeout=None):
        """One turn: the list of times, after a run that warms up."""
        command = [f"{self.build}/netrun", "bench", self.module, function, "--json", "--iterations",
                   str(iterations), "--threads",
                   str(self.threads), *flags]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"took over {timeout:.0f} s")
        if done.returncode:
            raise Failed(done.stderr.strip()[:300])
        self.last = json.loads(done.stdout)
        self.rss = max(self.rss, self.last["peak_rss_bytes"])
        return self.last["seconds"]

    def predict(self, folder):
        """Runs predict on the exported weights and image; the largest difference to what PyTorch gave."""
        out = f"{folder}/netrun"
        subprocess.run([f"{self.build}/netrun", "exec", self.module, "predict", "--weights",
                        f"{folder}/weights.safetensors", "--in",
                        f"image={folder}/image.npy", "--out", out], check=True, capture_output=True)
        mine = [f for f in os.listdir(out) if f.endswith(".npy")]
        return max(abs(a - b) for a, b in zip(floats(f"{out}/{mine[0]}"), floats(f"{folder}/expected.npy"),
                                              strict=True))


def floats(path):
    """The values of a .npy file of float32."""
    with open(path, "rb") as f:
        data = f.read()
    values = array.array("f")
    values.frombytes(data[10 + int.from_bytes(data[8:10], "little"):])
    return values


def cpu():
    """Model name, cores."""
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return (names or ["unknown processor"])[0], len(os.sched_getaffinity(0))
