#!/usr/bin/env python3
"""Runs recorded launches (cases.h) from their PTX text, instruction by instruction as the PTX ISA says,
and compares what they store. The emulation of codegen/emulator/emulator.c runs a kernel before LLVM has
made PTX of it; this runs what a driver gets. It knows nothing of the compiler: fragments, descriptors and
swizzles are written down here once more. Needs numpy; some ten launches a second.

    tests/gpu/ptx.py CASES .. [--family sm_80] [--launches A:B] [--most-blocks N] [--tolerance T]

All blocks of a launch run side by side, a lane of numpy each thread. Threads have program counters of
their own; those that are least go first, and what warps do together waits for all 32. Copies by cp.async
arrive when they are waited for, and no earlier.
"""
import argparse
import re
import struct
import sys

import numpy as np

FAMILIES = ("sm_75", "sm_80", "sm_90a")
GLOBAL, NAN = 1 << 40, 0x7FC1FFC5
U32, U64, I32, I64, F32, F64 = np.uint32, np.uint64, np.int32, np.int64, np.float32, np.float64
TYPES = {"u16": np.uint16, "s16": np.int16, "b16": np.uint16, "u32": U32, "s32": I32, "b32": U32, "f32": F32,
         "u64": U64, "s64": I64, "b64": U64, "f64": F64, "pred": bool}


# ---- the file ----
class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, kind):
        return struct.unpack("<" + kind, self.take(struct.calcsize(kind)))[0]

    def text(self):
        return self.take(self.number("i")).rstrip(b"\0").decode()


def read_cases(path):
    with open(path, "rb") as f:
        r = Reader(f.read())
    assert r.take(8) == b"netcgpu1", path
    codes = []
    for _ in range(r.number("i")):
        entry = r.text()
        threads, tasks, shared, nparams = (r.number("i") for _ in range(4))
        codes.append({"entry": entry, "threads": threads, "tasks": tasks, "shared": shared,
                      "nparams": nparams, "ptx": {f: r.text() for f in FAMILIES}})
    fns = []
    for _ in range(r.number("i")):
        name, tolerance, seed, iteration = r.text(), r.number("d"), r.number("q"), r.number("q")
        buffers, launches, at = [], [], 0
        for _ in range(r.number("i")):
            kind, size, count = r.number("i"), r.number("q"), r.number("q")
            want = None if kind < 0 else np.frombuffer(r.take(count * (2 if kind == 2 else 4)),
                                                       ("<f4", "<i4", "<u2")[kind])
            buffers.append({"kind": kind, "bytes": size, "want": want, "at": at})
            at += (size + 255) // 256 * 256 + 256
        for _ in range(r.number("i")):
            kernel, code, cancels, tasks = r.text(), r.number("i"), r.number("i"), r.number("q")
            writes, checks = r.number("Q"), r.number("Q")
            args = [r.number("i") for _ in range(r.number("i"))]
            launches.append({"kernel": kernel, "code": code, "cancels": cancels, "tasks": tasks,
                             "writes": writes, "checks": checks, "args": args,
                             "params": [r.number("Q") for _ in range(codes[code]["nparams"])]})
        fns.append({"name": name, "tolerance": tolerance, "step": struct.pack("<qq", seed, iteration),
                    "buffers": buffers, "launches": launches, "bytes": at})
    return codes, fns


# ---- the text ----
class Kernel:
    """Instructions as tuples: (predicate register or None, whether it is negated, opcode's parts,
    operands)."""

    def __init__(self, ptx, entry):
        body = ptx[ptx.index(f".entry {entry}("):]
        head, body = body.split("\n{", 1)
        self.params = re.findall(r"\.param \.(\w+) (\w+)", head)
        self.maxntid = int(re.search(r"\.maxntid (\d+)", head)[1])
        self.shared, at = {}, 0
        for align, name, size in re.findall(r"\.shared \.align (\d+) \.b8 (\w+)\[(\d*)\]", ptx):
            at = (at + int(align) - 1) // int(align) * int(align)
            self.shared[name] = at
            at += int(size or 0)
        self.static = at
        self.code, self.label = [], {}
        line = ""
        for piece in body.splitlines():
            line += " " + piece.split("//")[0].strip()
            if line.strip() in ("", "{", "}") or line.rstrip()[-1] in ";:}":
                for part in re.findall(r"[^;]+;",
                                       line.strip(" {}")) if line.strip().startswith("{ ") else [line]:
                    self.add(part.strip())
                line = ""

    def add(self, line):
        """A statement, or a label. LLVM writes no two on a line, and our asm statements neither."""
        label = re.match(r"(\$\w+):$", line)
        if label:
            self.label[label[1]] = len(self.code)
        elif line and line not in "{}" and not line.startswith("."):
            m = re.match(r"(?:@(!?)(%?\w+)\s+)?([\w.:]+)\s*(.*);$", line)
            if not m:
                raise ValueError(f"no PTX: {line}")
            operands = [x.strip() for x in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", m[4])]
            self.code.append((m[2], m[1] == "!", m[3].split("."), operands))


# ---- threads ----
class Launch:
    """All threads of a launch: `t` of them, in blocks of `threads`."""

    def __init__(self, kernel, memory, blocks, threads, params, shared):
        self.k, self.threads, self.blocks, self.t = kernel, threads, blocks, blocks * threads
        self.memory = memory
        self.params = {name: np.full(self.t, value, U64) for (_, name), value in zip(kernel.params, params,
            strict=True)}
        self.words = max(kernel.static, shared) // 4 + 4
        self.scratch = np.full(blocks * self.words, NAN, U32)
        self.reg, self.pc = {}, np.zeros(self.t, I64)
        self.alive, self.block = np.ones(self.t, bool), np.arange(self.t) // threads
        self.tid = (np.arange(self.t) % threads).astype(U32)
        self.lane = np.arange(self.t) % 32
        self.copies, self.group = [], np.zeros(self.t, I64)
        self.ready = False

    # -- operands --
    def get(self, x, kind):
        t = TYPES[kind]
        if x.startswith("%") and x not in ("%tid.x", "%ctaid.x"):
            v = self.reg[x]
            if v.dtype == t:
                return v
            return v.view(t) if v.dtype.itemsize == np.dtype(t).itemsize else v.astype(t)
        if x == "%tid.x":
            return self.tid.astype(t)
        if x == "%ctaid.x":
            return self.block.astype(t)
        if x.startswith("0f"):
            return np.full(self.t, int(x[2:], 16), U32).view(t)
        if x.startswith("0d"):
            return np.full(self.t, int(x[2:], 16), U64).view(t)
        if x in self.k.shared:
            return np.full(self.t, self.k.shared[x], t)
        if x in self.reg:  # a register of an asm statement
            return self.reg[x]
        if kind == "pred":
            return np.full(self.t, bool(int(x)))
        width = {1: 1 << 8, 2: 1 << 16, 4: 1 << 32, 8: 1 << 64}[np.dtype(t).itemsize]
        if np.dtype(t).kind == "f":
            return np.full(self.t, float(x), t)
        return np.full(self.t, int(x) % width, {2: np.uint16, 4: U32, 8: U64}[np.dtype(t).itemsize]).view(t)

    def put(self, x, v, mask):
        if mask.all():
            self.reg[x] = v.copy()
            return
        if x not in self.reg or self.reg[x].dtype.itemsize != v.dtype.itemsize:
            size = v.dtype.itemsize
            kind = {1: np.uint8, 2: np.uint16, 4: U32, 8: U64}[size]
            unset = np.full(self.t, 0xDEADBEEFDEADBEEF & (256**size - 1), kind)
            self.reg[x] = unset.view(v.dtype) if v.dtype != bool else np.zeros(self.t, bool)
        self.reg[x] = np.where(mask, v, self.reg[x].view(v.dtype))

    def address(self, x):
        base, _, off = x.strip("[]").partition("+")
        a = self.get(base, "u64").astype(I64)
        return a + int(off) if off else a

    # -- memory --
    def cells(self, space, at, size, who):
        """(array of words of `size` bytes, index of each place) for the threads `who`."""
        if (at % size).any():
            raise RuntimeError(f"an address that is no multiple of {size}")
        t = {2: np.uint16, 4: U32, 8: U64}[size]
        if space == "global":
            at = at - GLOBAL
            if (at < 0).any() or (at + size > len(self.memory)).any():
                raise RuntimeError("an address of no memory")
            return self.memory.view(t), at // size
        if (at < 0).any() or (at + size > 4 * self.words).any():
            raise RuntimeError("an address of no shared memory")
        return self.scratch.view(t), (self.block[who] * self.words * 4 + at) // size

    def load(self, space, at, size, who):
        words, i = self.cells(space, at, size, who)
        return words[i]

    def store(self, space, at, v, who):
        words, i = self.cells(space, at, v.dtype.itemsize, who)
        words[i] = v.view(words.dtype)

    # -- copies --
    def arrive(self, mask, latest):
        left = []
        for who, to, source, size, bytes_, group in self.copies:
            now = mask[who] & (group < self.group[who] - latest)
            for j in range(bytes_ // 4):
                w, some = who[now], (size > 0)[now]
                v = np.zeros(len(w), U32)
                v[some] = self.load("global", source[now][some] + 4 * j, 4, w[some])
                self.store("shared", to[now] + 4 * j, v, w)
            if not now.all():
                left.append((who[~now], to[~now], source[~now], size[~now], bytes_, group[~now]))
        self.copies = left

    # -- running --
    def run(self):
        steps = [COMPILE.get(op[0], unknown)(self, op, x) for _, _, op, x in self.k.code]
        together = [op[0] in ("shfl", "ldmatrix", "mma", "wgmma") or op[:2] == ["bar", "warp"]
                    for _, _, op, _ in self.k.code]
        barrier = [op[:2] == ["bar", "sync"] for _, _, op, _ in self.k.code]
        blocked = np.zeros(self.t, bool)
        while True:
            runnable = self.alive & ~blocked
            if not runnable.any():
                if not self.alive.any():
                    return
                waits = sorted({".".join(self.k.code[p][2]) for p in self.pc[self.alive]})
                raise RuntimeError(f"threads wait for others at {waits}")
            at = int(self.pc[runnable].min())
            mask = runnable & (self.pc == at)
            if together[at] or barrier[at]:
                size = self.threads if barrier[at] else 128 if self.k.code[at][2][0] == "wgmma" else 32
                here = (self.alive & (self.pc == at)).reshape(-1, size)
                alive = self.alive.reshape(-1, size)
                whole = (here == alive).all(1) & alive.any(1) if barrier[at] else here.all(1)
                mask = np.repeat(whole, size) & self.alive
                blocked |= here.reshape(-1) & ~mask
                blocked &= ~mask
                if not mask.any():
                    continue
            predicate, negated, op, x = self.k.code[at]
            taken = mask if predicate is None else mask & (self.get(predicate, "pred") != negated)
            if op[0] == "bra":
                self.pc[mask] = at + 1
                self.pc[taken] = self.k.label[x[0]]
            elif op[0] == "ret":
                self.alive &= ~taken
                self.pc[mask] = at + 1
            else:
                if taken.any():
                    steps[at](taken)
                self.pc[mask] = at + 1


# ---- instructions: each makes a function of the mask of threads that take part ----
def unknown(l, op, x):
    raise RuntimeError(f"ptx.py does not know {'.'.join(op)}")


def simple(make):
    """Of operands of the opcode's last type."""
    def compile_(l, op, x):
        kind, fn = op[-1], make(op)

        def step(mask):
            l.put(x[0], np.asarray(fn(*(l.get(y, kind) for y in x[1:]))).astype(TYPES[kind], copy=False),
                  mask)

        return step
    return compile_


def multiply(op):
    kind = op[-1]
    if op[1] == "hi":
        if kind[1:] == "32":
            if kind[0] == "s":
                return lambda a, b: (a.astype(I64) * b.astype(I64)) >> 32
            return lambda a, b: (a.astype(U64) * b.astype(U64)) >> U64(32)
        return lambda a, b: np.array([(int(u) * int(v) >> 64) % (1 << 64) for u, v in zip(a, b)],
                                     U64).view(TYPES[kind])
    return lambda a, b: a * b


def wide(l, op, x):
    kind, to = op[-1], {"s32": I64, "u32": U64, "u16": U32, "s16": I32}[op[-1]]
    return lambda mask: l.put(x[0], l.get(x[1], kind).astype(to) * l.get(x[2], kind).astype(to), mask)


def mul(l, op, x):
    return wide(l, op, x) if op[1] == "wide" else simple(multiply)(l, op, x)


def divide(op):
    if op[-1][0] == "f":
        return lambda a, b: a / b

    def fn(a, b):
        b = np.where(b == 0, 1, b).astype(a.dtype)
        return np.array([abs(int(u)) // abs(int(v)) * (1 if (u < 0) == (v < 0) else -1)
                         for u, v in zip(a, b)]).astype(a.dtype)
    return fn


def remainder(op):
    q = divide(op)
    return lambda a, b: a - q(a, b) * b


def shift(op):
    bits, left, signed = int(op[-1][1:]), op[0] == "shl", op[-1][0] == "s"

    def fn(a, b):
        n = b.astype(I64)
        if left:
            return np.where(n >= bits, 0, a << np.minimum(n, bits - 1).astype(a.dtype))
        return a >> np.minimum(n, bits - 1).astype(a.dtype) if signed else np.where(n >= bits, 0,
            a >> np.minimum(n, bits - 1).astype(a.dtype))
    return fn


def shift_op(l, op, x):
    kind, fn = op[-1], shift(op)
    t = TYPES[kind]
    return lambda mask: l.put(x[0], fn(l.get(x[1], kind), l.get(x[2], "u32")).astype(t), mask)


def bfe(l, op, x):
    kind = op[-1]
    signed, t = kind[0] == "s", TYPES[kind]

    def step(mask):
        a, at, n = l.get(x[1], kind), l.get(x[2], "u32").astype(I64), l.get(x[3], "u32").astype(I64)
        mask = (U64(1) << np.minimum(n, 63).astype(U64)) - U64(1)
        v = (a.view({4: U32, 8: U64}[a.dtype.itemsize]).astype(U64) >> at.astype(U64)) & mask
        if signed:
            top = U64(1) << np.maximum(n - 1, 0).astype(U64)
            v = ((v ^ top) - top)
        l.put(x[0], v.astype(U64).astype({4: U32, 8: U64}[np.dtype(t).itemsize]).view(t), mask)
    return step


COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
           "ge": np.greater_equal}


def setp(l, op, x):
    how, kind = op[1], op[-1]

    def step(mask):
        a, b = l.get(x[1], kind), l.get(x[2], kind)
        if how in COMPARE:  # ordered: false with NaN, but for the `u` of unordered ones
            v = COMPARE[how](a, b) & (~np.isnan(a) & ~np.isnan(b) if kind[0] == "f" else True)
        elif how == "nan":
            v = np.isnan(a) | np.isnan(b)
        elif how == "num":
            v = ~np.isnan(a) & ~np.isnan(b)
        else:
            v = COMPARE[how[:-1]](a, b) | np.isnan(a) | np.isnan(b)
        l.put(x[0], np.asarray(v, bool), mask)
    return step


def selp(l, op, x):
    kind = op[-1]
    return lambda mask: l.put(x[0], np.where(l.get(x[3], "pred"), l.get(x[1], kind), l.get(x[2], kind)), mask)


def mov(l, op, x):
    """Of a vector: the first element is the low half."""
    names = (x[0] if x[0].startswith("{") else x[1]).strip("{} ").replace(" ", "").split(",")
    half, whole = {"b32": (np.uint16, U32), "b64": (U32, U64)}.get(op[-1], (None, None))
    if x[0].startswith("{"):
        def split(mask):
            v = l.get(x[1], op[-1])
            for i, name in enumerate(names):
                l.put(name, (v >> whole(i * 8 * np.dtype(half).itemsize)).astype(half), mask)
        return split
    if x[1].startswith("{"):
        kind = f"b{8 * np.dtype(half).itemsize}"
        return lambda mask: l.put(x[0], l.get(names[0], kind).astype(whole) | l.get(names[1],
            kind).astype(whole) << whole(8 * np.dtype(half).itemsize), mask)
    return lambda mask: l.put(x[0], l.get(x[1], op[-1]), mask)


def cvt(l, op, x):
    if op[1:3] == ["rna", "tf32"]:  # to nearest, ties away from zero
        def step(mask):
            bits = l.get(x[1], "f32").view(U32)
            special = (bits & U32(0x7F800000)) == U32(0x7F800000)
            l.put(x[0], np.where(special, bits, (bits + U32(0x1000)) & U32(0xFFFFE000)).astype(U32), mask)
        return step
    to, source = op[-2], op[-1]
    if to in ("bf16x2", "bf16"):
        def pair(mask):
            halves = [np.frombuffer(bf16_round(l.get(y, "f32")).tobytes(), np.uint16) for y in x[1:]]
            v = halves[0] if to == "bf16" else halves[0].astype(U32) << U32(16) | halves[1]
            l.put(x[0], v, mask)
        return pair
    how = op[1] if len(op) > 3 else ""

    def step(mask):
        a = l.get(x[1], source)
        if source[0] == "f" and to[0] != "f" or how in ("rzi", "rmi", "rpi", "rni"):
            a = {"rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil, "rni": np.rint}[how](a)
            if to[0] != "f":
                info = np.iinfo(TYPES[to])
                a = np.where(np.isnan(a), 0, np.clip(a.astype(F64), float(info.min), float(info.max)))
                a = np.array([min(max(int(v), info.min), info.max) for v in a],
                             TYPES[to]) if to[-2:] == "64" else a.astype(TYPES[to])
        l.put(x[0], a.astype(TYPES[to]), mask)
    return step


def bf16_round(v):
    bits = v.view(U32)
    near = (bits + U32(0x7FFF) + ((bits >> U32(16)) & U32(1))) >> U32(16)
    return np.where(np.isnan(v), (bits >> U32(16)) | U32(0x40), near).astype(np.uint16)


def ld(l, op, x):
    kind, space = op[-1], op[1]
    if space == "param":
        return lambda mask: l.put(x[0], l.params[x[1].strip("[]")].astype(TYPES[kind]), mask)
    size, names = np.dtype(TYPES[kind]).itemsize, x[0].strip("{}").replace(" ", "").split(",")

    def step(mask):
        who = mask.nonzero()[0]
        at = l.address(x[1])[who]
        for i, name in enumerate(names):
            v = np.zeros(l.t, {2: np.uint16, 4: U32, 8: U64}[size])
            v[who] = l.load(space, at + i * size, size, who)
            l.put(name, v.view(TYPES[kind]), mask)
    return step


def st(l, op, x):
    kind, space = op[-1], op[1]
    size, names = np.dtype(TYPES[kind]).itemsize, x[1].strip("{}").replace(" ", "").split(",")

    def step(mask):
        who = mask.nonzero()[0]
        at = l.address(x[0])[who]
        for i, name in enumerate(names):
            l.store(space, at + i * size, l.get(name, kind)[who], who)
    return step


def shfl(l, op, x):
    how = op[2]

    def step(mask):
        v, b = l.get(x[1], "b32"), l.get(x[2], "u32").astype(I64)
        source = l.lane ^ b if how == "bfly" else b % 32
        l.put(x[0], v[np.arange(l.t) - l.lane + source], mask)
    return step


def ldmatrix(l, op, x):
    names, turned = x[0].strip("{} ").replace(" ", "").split(","), "trans" in op

    def step(mask):
        who = mask.nonzero()[0]  # whole warps
        at = l.address(x[1])[who]
        if (at % 16).any():
            raise RuntimeError("ldmatrix of a row that begins at no multiple of 16 bytes")
        rows = np.stack([l.load("shared", at + 2 * i, 2, who) for i in range(8)], 1).reshape(-1, 4, 8,
            8)  # warp, matrix, row, column
        if turned:
            rows = rows.swapaxes(2, 3)
        words = rows.reshape(-1, 4, 64)[:, :, 0::2].astype(U32) | rows.reshape(-1, 4, 64)[:, :,
            1::2].astype(U32) << U32(16)  # lane: row lane / 4, columns 2 (lane % 4) ..
        for m, name in enumerate(names):
            v = np.zeros(l.t, U32)
            v[who] = words[:, m, :].reshape(-1)
            l.put(name, v, mask)
    return step


def unpack(words, bf16):
    """Elements along the last axis."""
    if not bf16:
        return (words & U32(0xFFFFE000)).view(F32).astype(F64)
    two = np.stack([words << U32(16), words & U32(0xFFFF0000)], -1).astype(U32).view(F32).astype(F64)
    return two.reshape(*words.shape[:-1], -1)


def mma(l, op, x):
    bf16 = "bf16" in op
    d, a, b, c = (y.strip("{} ").replace(" ", "").split(",") for y in x)
    g, t = np.arange(32) // 4, np.arange(32) % 4

    def step(mask):
        who = mask.nonzero()[0].reshape(-1, 32)
        n = len(who)
        am, bm, cm = np.zeros((n, 16, 8), U32), np.zeros((n, 8, 8), U32), np.zeros((n, 16, 8))
        for r, name in enumerate(a):  # words of a row: four of the first half of the axis, four of the second
            am[:, g + 8 * (r % 2), t + 4 * (r // 2)] = l.get(name, "b32")[who]
        for r, name in enumerate(b):  # [column, word]
            bm[:, g, t + 4 * r] = l.get(name, "b32")[who]
        for r, name in enumerate(c):
            cm[:, g + 8 * (r // 2), 2 * t + r % 2] = l.get(name, "f32")[who]
        out = (cm + unpack(am, bf16) @ unpack(bm, bf16).swapaxes(1, 2)).astype(F32)
        for r, name in enumerate(d):
            v = np.zeros(l.t, F32)
            v[who] = out[:, g + 8 * (r // 2), 2 * t + r % 2]
            l.put(name, v, mask)
    return step


def matrix(l, descriptor, rows, who):
    """32 bytes of each row, as words, for blocks' four warps whose first threads are `who`: a matrix whose
    axis of the sum is innermost, in swizzled rows."""
    d = [int(v) for v in descriptor]
    out = np.zeros((len(d), rows, 8), U32)
    r = np.arange(rows)
    for i, v in enumerate(d):
        start, down, base, mode = (v & 0x3FFF) << 4, (v >> 32 & 0x3FFF) << 4, v >> 49 & 7, v >> 62
        if base or not mode:
            raise RuntimeError("a descriptor with a base offset, or without swizzle")
        width = {1: 128, 2: 64, 3: 32}[mode]
        for piece in range(2):
            at = start + r // 8 * down + r % 8 * width + 16 * piece
            at ^= (at >> 7 & (width // 16 - 1)) << 4
            for w in range(4):
                out[i, :, 4 * piece + w] = l.load("shared", at + 4 * w, 4, np.full(rows, who[i]))
    return out


def turned_matrix(l, descriptor, rows, who):
    """The same of a matrix whose rows lie next to each other: a pattern is 8 places of the sum's axis by
    as many rows of 16 bits as fill a line of the swizzle's width; the next 8 places are SBO further on,
    the next rows LBO (CUTLASS: Swizzle o ((8,J,m),(8,k)):((1,8,LBO),(8J,SBO)), J pieces of 16 bytes a
    line)."""
    d = [int(v) for v in descriptor]
    out = np.zeros((len(d), rows, 8), U32)
    r = np.arange(0, rows, 2)
    for i, v in enumerate(d):
        start, lbo, sbo = (v & 0x3FFF) << 4, (v >> 16 & 0x3FFF) << 4, (v >> 32 & 0x3FFF) << 4
        base, mode = v >> 49 & 7, v >> 62
        if base or not mode:
            raise RuntimeError("a descriptor with a base offset, or without swizzle")
        width = {1: 128, 2: 64, 3: 32}[mode]
        for k in range(16):
            at = start + k % 8 * width + k // 8 * sbo + 2 * r // width * lbo + 2 * r % width
            at ^= (at >> 7 & (width // 16 - 1)) << 4
            pair = l.load("shared", at, 4, np.full(len(r), who[i])).astype(U32)
            out[i, 0::2, k // 2] |= (pair & U32(0xFFFF)) << U32(16 * (k % 2))
            out[i, 1::2, k // 2] |= (pair >> U32(16)) << U32(16 * (k % 2))
    return out


def wgmma(l, op, x):
    if op[1] == "fence":
        def fence(mask):
            l.ready, l.products = True, []
        return fence
    if op[1] in ("commit_group", "wait_group"):
        return lambda mask: None
    columns, bf16 = int(re.search(r"n(\d+)k", op[4])[1]), op[-1] == "bf16"
    d, in_registers = x[0].strip("{} ").replace(" ", "").split(","), x[1].startswith("{")
    a = x[1].strip("{} ").replace(" ", "").split(",")
    if x[4:6] != ["1", "1"]:
        raise RuntimeError(f"wgmma with {x[3:]}")
    turned = [y == "1" for y in x[6:]] if bf16 else []
    turned_a, turned_b = not in_registers and bf16 and turned[0], bf16 and turned[-1]
    read_a, read_b = turned_matrix if turned_a else matrix, turned_matrix if turned_b else matrix
    g, t = np.arange(32) // 4, np.arange(32) % 4

    def step(mask):
        who = mask.nonzero()[0].reshape(-1, 4, 32)  # four warps
        n, first = len(who), who[:, 0, 0]
        for y in ([] if in_registers else [x[1]]) + [x[2]]:
            if (l.get(y, "u64")[who] != l.get(y, "u64")[first][:, None, None]).any():
                raise RuntimeError("threads of four warps name different matrices")
        if in_registers:
            am = np.zeros((n, 4, 16, 8), U32)
            for r, name in enumerate(a):
                am[:, :, g + 8 * (r % 2), t + 4 * (r // 2)] = l.get(name, "b32")[who]
            am = am.reshape(n, 64, 8)
        else:
            am = read_a(l, l.get(x[1], "u64")[first], 64, first)
        product = unpack(am, bf16) @ unpack(read_b(l, l.get(x[2], "u64")[first], columns, first),
                                            bf16).swapaxes(1, 2)
        if not l.get(x[3], "pred")[who].all():
            raise RuntimeError("wgmma that does not add")
        product = product.reshape(n, 4, 16, columns)
        for r, name in enumerate(d):
            v = np.zeros(l.t, F32)
            v[who] = (l.get(name, "f32")[who] + product[:, :, g + 8 * (r // 2 % 2), r // 4 * 8 + 2 * t
                                                        + r % 2]).astype(F32)
            l.put(name, v, mask)
    return step


def cp(l, op, x):
    if op[2] == "commit_group":
        def commit(mask):
            l.group[mask] += 1
        return commit
    if op[2] == "wait_group":
        return lambda mask: l.arrive(mask, int(x[0]))
    bytes_ = int(x[2])
    if op[2] == "cg" and bytes_ != 16:
        raise RuntimeError("cp.async.cg copies 16 bytes")

    def step(mask):
        who = mask.nonzero()[0]
        to, source, size = l.address(x[0])[who], l.address(x[1])[who], l.get(x[3],
            "u32")[who] if len(x) > 3 else np.full(len(who), bytes_)
        if (to % bytes_).any() or (source % bytes_).any() or not np.isin(size, (0, bytes_)).all():
            raise RuntimeError("cp.async of a place that is no multiple of its size")
        for j in range(bytes_ // 4):
            l.store("shared", to + 4 * j, np.full(len(who), NAN, U32), who)
        l.copies.append((who, to, source, size, bytes_, l.group[who].copy()))
    return step


def nothing(l, op, x):
    return lambda mask: None


def fma(op):
    if op[-1] == "f64":
        return lambda a, b, c: a * b + c
    return lambda a, b, c: (a.astype(F64) * b.astype(F64) + c.astype(F64)).astype(F32)


COMPILE = {
    "add": simple(lambda op: lambda a, b: a + b), "sub": simple(lambda op: lambda a, b: a - b), "mul": mul,
    "mad": simple(lambda op: lambda a, b, c: a * b + c),
    "fma": simple(fma), "div": simple(divide), "rem": simple(remainder),
    "neg": simple(lambda op: lambda a: -a if op[-1][0] == "f" else (0 - a)),
    "abs": simple(lambda op: np.abs), "sqrt": simple(lambda op: np.sqrt),
    "rcp": simple(lambda op: lambda a: TYPES[op[-1]](1) / a),
    "min": simple(lambda op: np.fmin if op[-1][0] == "f" else np.minimum),
    "max": simple(lambda op: np.fmax if op[-1][0] == "f" else np.maximum),
    "and": simple(lambda op: lambda a, b: a & b), "or": simple(lambda op: lambda a, b: a | b),
    "xor": simple(lambda op: lambda a, b: a ^ b), "not": simple(lambda op: lambda a: ~a),
    "shl": shift_op, "shr": shift_op, "bfe": bfe, "setp": setp, "selp": selp, "mov": mov, "cvt": cvt,
    "ld": ld, "st": st, "shfl": shfl, "ldmatrix": ldmatrix,
    "mma": mma, "wgmma": wgmma, "cp": cp, "bar": nothing, "fence": nothing, "bra": nothing, "ret": nothing,
}


# ---- launches ----
def elements(kind, data):
    return (data.astype(U32) << U32(16)).view(F32).astype(F64) if kind == 2 else data.astype(F64)


def compare(fn, launch, memory):
    worst = 0.0
    for i, buffer in enumerate(launch["args"]):
        b = fn["buffers"][buffer]
        if not launch["checks"] >> i & 1:
            continue
        got = elements(b["kind"], memory[b["at"]:b["at"] + b["want"].nbytes].view(b["want"].dtype))
        want = elements(b["kind"], b["want"])
        scale = 1.0 if launch["cancels"] else min(1.0, float(np.abs(want).max(initial=0)))
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        off = np.where(same, 0, np.abs(got - want) / (scale + np.abs(want) + 1e-300))
        off = float(np.nan_to_num(off, nan=np.inf).max(initial=0)) - (2**-7 if b["kind"] == 2 else 0)
        worst = max(worst, off)
    return worst


def run_fn(codes, fn, newest, first, last, most_blocks, kernels, counts):
    memory = np.zeros(fn["bytes"] + 64, np.uint8)
    memory[:fn["bytes"] // 4 * 4].view(U32)[:] = NAN
    memory[fn["bytes"]:fn["bytes"] + 16] = np.frombuffer(fn["step"], np.uint8)
    for number, launch in enumerate(fn["launches"]):
        code = codes[launch["code"]]
        family = next(f for f in FAMILIES[FAMILIES.index(newest)::-1] if code["ptx"][f])
        blocks = -(-launch["tasks"] // code["tasks"])
        if not first <= number < last or not blocks:
            continue
        if blocks > most_blocks:
            counts["left"] += 1
            continue
        key = launch["code"], family
        if key not in kernels:
            kernels[key] = Kernel(code["ptx"][family], code["entry"])
        k = kernels[key]
        for i, buffer in enumerate(launch["args"]):
            b = fn["buffers"][buffer]
            if not launch["writes"] >> i & 1 and b["kind"] >= 0:
                memory[b["at"]:b["at"] + b["want"].nbytes] = np.frombuffer(b["want"].tobytes(), np.uint8)
        params = [GLOBAL + fn["buffers"][b]["at"] for b in launch["args"]] + [GLOBAL + fn["bytes"],
            launch["tasks"], *launch["params"]]
        try:
            if k.maxntid != code["threads"]:
                raise RuntimeError("another number of threads than the text says")
            Launch(k, memory, blocks, code["threads"], params, code["shared"] if family == "sm_90a"
                   else 0).run()
            worst = compare(fn, launch, memory)
            good, why = worst <= fn["tolerance"], f"largest difference {worst:.3g}"
        except (RuntimeError, KeyError, IndexError, ValueError) as e:
            good, why = False, f"{type(e).__name__}: {e}"
        counts[family] += 1
        if good:
            counts["worst"] = max(counts["worst"], worst)
        else:
            counts["bad"] += 1
            print(f"  WRONG {launch['kernel']}, launch {number} of {fn['name']}, {family}: {why}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cases", nargs="+")
    p.add_argument("--family", default="sm_90a")
    p.add_argument("--launches", default="0:1000000")
    p.add_argument("--tolerance", type=float)
    p.add_argument("--most-blocks", type=int, default=1 << 20)
    a = p.parse_args()
    first, last = map(int, a.launches.split(":"))
    bad = 0
    with np.errstate(all="ignore"):
        for path in a.cases:
            codes, fns = read_cases(path)
            counts, kernels = {**dict.fromkeys(FAMILIES, 0), "bad": 0, "left": 0, "worst": 0.0}, {}
            for fn in fns:
                fn["tolerance"] = fn["tolerance"] if a.tolerance is None else a.tolerance
                run_fn(codes, fn, a.family, first, last, a.most_blocks, kernels, counts)
            print(f"{'FAIL' if counts['bad'] else 'ok  '} {path}: "
                  + ", ".join(f"{counts[f]} launches of {f}" for f in FAMILIES)
                  + f"; {counts['bad']} wrong, {counts['left']} left out; largest difference "
                    f"{counts['worst']:.2g}", flush=True)
            bad += counts["bad"]
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
