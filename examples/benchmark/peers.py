"""NumPy's or PyTorch's side of the benchmark: python3 peers.py numpy|torch|float32

Reads a command a line from standard input and answers each with a line, both
in JSON: {"load": workload} reads a workload's data, initial parameters and
order of samples, {"run": name} trains it from those parameters, or predicts,
and answers with the seconds that took and the losses. All is float64, but
for float32, PyTorch's.
"""

import ctypes
import functools
import gc
import json
import os
import sys
import time

try:
    import numpy as np
except ImportError as e:
    print(json.dumps({"error": str(e)}), flush=True)
    sys.exit()


@functools.lru_cache(None)
def fromfile(path, dtype):
    return np.fromfile(path, dtype)


class Workload:
    """A workload's description and its arrays."""

    def __init__(self, spec):
        def read(name, dtype, *shape):
            return fromfile(os.path.join(spec["dir"], name), dtype).reshape(shape)

        self.__dict__.update(spec)  # rows, inputs, units, activations, loss, optimizer, rate, batch, epochs, calls
        self.x = read(self.data + ".x", "<f8", self.rows, self.inputs)
        self.y = read(self.data + ".y", "<f8", self.rows, self.outputs)
        self.labels = self.y.argmax(axis=1)
        self.params = read(self.name + ".params", "<f8", -1)
        # The samples of each epoch in their order, or None for all at once.
        self.order = read(self.data + ".order", "<i8", self.epochs, self.rows) if self.shuffle else None

    def views(self, flat):
        """W (out×in) and b of every layer as views of a flat array."""
        views, start, fan_in = [], 0, self.inputs
        for units in self.units:
            middle, end = start + units * fan_in, start + units * fan_in + units
            views.append((flat[start:middle].reshape(units, fan_in), flat[middle:end]))
            start, fan_in = end, units
        return views

    def batches(self):
        return [slice(i, min(i + self.batch, self.rows)) for i in range(0, self.rows, self.batch)]


# ─── NumPy ───────────────────────────────────────────────────────────────────


def identity(z):
    pass


def relu(z):
    np.maximum(z, 0, out=z)


def sigmoid(z):
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += 1
    np.reciprocal(z, out=z)


def tanh(z):
    np.tanh(z, out=z)


def softmax(z):
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)


def identity_backward(da, a, t):
    pass


def relu_backward(da, a, t):
    da *= a > 0


def sigmoid_backward(da, a, t):
    da *= a
    np.subtract(1, a, out=t)
    da *= t


def tanh_backward(da, a, t):
    np.multiply(a, a, out=t)
    np.subtract(1, t, out=t)
    da *= t


FORWARD = {"Identity": identity, "ReLU": relu, "Sigmoid": sigmoid, "Tanh": tanh, "Softmax": softmax}
BACKWARD = {"Identity": identity_backward, "ReLU": relu_backward, "Sigmoid": sigmoid_backward, "Tanh": tanh_backward}


def mse(a, y, da):
    """The mean squared error; its derivative by a in da."""
    np.subtract(a, y, out=da)
    e = da.ravel()
    loss = e.dot(e) / e.size
    da *= 2 / e.size
    return loss


def cross_entropy(z, labels, dz):
    """The mean cross-entropy behind a softmax; its derivative by z in dz."""
    rows = np.arange(len(z))
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=dz)
    s = dz.sum(axis=1, keepdims=True)
    loss = (np.log(s).sum() - z[rows, labels].sum()) / len(z)
    dz /= s
    dz[rows, labels] -= 1
    dz /= len(z)
    return loss


class NumPyNetwork:
    """Dense layers with every buffer made once; the parameters and the
    gradient are one flat array each, so that an update is few calls."""

    def __init__(self, w):
        self.w = w
        self.params = w.params.copy()
        self.grad = np.empty_like(self.params)
        self.layers = [(W, W.T, b, dW, db)
                       for (W, b), (dW, db) in zip(w.views(self.params), w.views(self.grad))]
        self.forwards = [FORWARD[f] for f in w.activations]
        self.backwards = [BACKWARD.get(f) for f in w.activations]
        if w.loss == "CrossEntropy" and w.epochs:  # takes z
            self.forwards[-1] = self.backwards[-1] = None
        self.buffers = {n: [tuple(np.empty((n, units)) for _ in range(3)) for units in w.units]
                        for n in {b.stop - b.start for b in w.batches()}}
        self.steps = 0
        self.m, self.v, self.t = (np.zeros_like(self.params) for _ in range(3))

    def forward(self, x):
        for (W, WT, b, dW, db), f, (a, da, t) in zip(self.layers, self.forwards, self.buffers[len(x)]):
            np.matmul(x, WT, out=a)
            a += b
            if f:
                f(a)
            x = a
        return x

    def gradient(self, x, y):
        buffers = self.buffers[len(x)]
        loss = mse if self.w.loss == "MSE" else cross_entropy
        value = loss(self.forward(x), y, buffers[-1][1])
        for i in range(len(self.layers) - 1, -1, -1):
            W, WT, b, dW, db = self.layers[i]
            a, dz, t = buffers[i]
            if self.backwards[i]:
                self.backwards[i](dz, a, t)
            np.matmul(dz.T, buffers[i - 1][0] if i else x, out=dW)
            np.add.reduce(dz, axis=0, out=db)
            if i:
                np.matmul(dz, W, out=buffers[i - 1][1])
        return value

    def update_sgd(self):
        self.grad *= self.w.rate
        self.params -= self.grad

    def update_adam(self):
        self.steps += 1
        g, m, v, t = self.grad, self.m, self.v, self.t
        m *= 0.9
        np.multiply(g, 0.1, out=t)
        m += t
        v *= 0.999
        np.multiply(g, g, out=t)
        t *= 0.001
        v += t
        np.sqrt(v, out=t)
        t *= 1 / (1 - 0.999**self.steps) ** 0.5
        t += 1e-8
        np.divide(m, t, out=t)
        t *= self.w.rate / (1 - 0.9**self.steps)
        self.params -= t


def blas():
    """The version of the OpenBLAS in use, where Linux and OpenBLAS tell it."""
    try:
        with open("/proc/self/maps") as maps:
            paths = {line.split()[-1] for line in maps if "openblas" in line}
    except OSError:
        return ""
    for path in sorted(paths):
        for symbol in "openblas_get_config", "openblas_get_config64_", "scipy_openblas_get_config64_":
            config = getattr(ctypes.CDLL(path), symbol, None)
            if config:
                config.restype = ctypes.c_char_p
                return " with " + " ".join(config().decode().split()[:2])
    return ""


class NumPy:
    version = "NumPy " + np.__version__ + blas()

    def train(self, w):
        net = NumPyNetwork(w)
        update = net.update_adam if w.optimizer == "Adam" else net.update_sgd
        targets = w.y if w.loss == "MSE" else w.labels
        slices, losses = w.batches(), []
        batch = {s.stop - s.start: np.empty((s.stop - s.start, w.inputs)) for s in slices}
        start = time.perf_counter()
        for epoch in range(w.epochs):
            if w.order is None:
                losses.append(net.gradient(w.x, targets))
                update()
                continue
            total = 0.0
            for s in slices:
                index = w.order[epoch, s]
                x = w.x.take(index, axis=0, out=batch[len(index)], mode="clip")
                total += net.gradient(x, targets[index]) * len(x)
                update()
            losses.append(total / w.rows)
        return time.perf_counter() - start, losses

    def predict(self, w):
        net = NumPyNetwork(w)
        start = time.perf_counter()
        for _ in range(w.calls):
            p = net.forward(w.x)
        return time.perf_counter() - start, p


# ─── PyTorch ─────────────────────────────────────────────────────────────────


class PyTorch:
    def __init__(self, dtype="float64"):
        import torch

        torch.set_num_threads(1)
        self.dtype = getattr(torch, dtype)
        torch.set_default_dtype(self.dtype)
        self.torch = torch
        self.version = "PyTorch " + torch.__version__

    def network(self, w):
        if w.modules:
            return self.option(w)
        torch, modules, fan_in = self.torch, [], w.inputs
        for units, f in zip(w.units, w.activations):
            modules.append(torch.nn.Linear(fan_in, units))
            modules.append(torch.nn.Softmax(dim=1) if f == "Softmax" else getattr(torch.nn, f)())
            fan_in = units
        if w.loss == "CrossEntropy" and w.epochs:  # takes z
            modules.pop()
        net = torch.nn.Sequential(*modules)
        with torch.no_grad():
            linears = [m for m in net if isinstance(m, torch.nn.Linear)]
            for m, (W, b) in zip(linears, w.views(w.params)):
                m.weight.copy_(torch.from_numpy(W))
                m.bias.copy_(torch.from_numpy(b))
        return net

    def option(self, w):
        """The network of an option, whose modules are spelled out."""
        torch, mean, std = self.torch, *map(self.torch.from_numpy, (w.x.mean(0), w.x.std(0)))
        mean, std = mean.to(self.dtype), std.to(self.dtype)

        class Standardize(torch.nn.Module):
            def forward(self, x):
                return (x - mean) / std

        net = torch.nn.Sequential(*eval(w.modules, {"nn": torch.nn, "Standardize": Standardize}))
        start = 0
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(torch.from_numpy(w.params[start : start + p.numel()].reshape(p.shape)))
                start += p.numel()
        return net

    def train(self, w):
        torch, net = self.torch, self.network(w)
        names = {"nn": torch.nn, "optim": torch.optim, "p": list(net.parameters())}
        names["W"] = [p for p in names["p"] if p.dim() > 1]
        names["b"] = [p for p in names["p"] if p.dim() == 1]
        clip = compile(w.clip or "None", "clip", "eval")
        if w.modules:
            optimizer = eval(w.optimizer, names)
        elif w.optimizer == "Adam":
            optimizer = torch.optim.Adam(net.parameters(), lr=w.rate)
        else:
            optimizer = torch.optim.SGD(net.parameters(), lr=w.rate)
        criterion = getattr(torch.nn, w.loss + "Loss")()
        inputs = torch.from_numpy(w.x).to(self.dtype)
        targets = torch.from_numpy(w.labels) if w.loss == "CrossEntropy" else torch.from_numpy(w.y).to(self.dtype)
        order = None if w.order is None else torch.from_numpy(w.order)
        slices, losses = w.batches(), []
        start = time.perf_counter()
        for epoch in range(w.epochs):
            total = 0.0
            for s in slices:
                x, y = inputs, targets
                if order is not None:
                    index = order[epoch, s]
                    x, y = inputs[index], targets[index]
                optimizer.zero_grad(set_to_none=True)
                loss = criterion(net(x), y)
                loss.backward()
                eval(clip, names)
                optimizer.step()
                total += loss.item() * len(x)
            losses.append(total / w.rows)
        return time.perf_counter() - start, losses

    def predict(self, w):
        torch, net, x = self.torch, self.network(w).eval(), self.torch.from_numpy(w.x).to(self.dtype)
        with torch.inference_mode():
            start = time.perf_counter()
            for _ in range(w.calls):
                p = net(x)
            return time.perf_counter() - start, p.numpy()


def main():
    try:
        side = {"numpy": NumPy, "torch": PyTorch, "float32": lambda: PyTorch("float32")}[sys.argv[1]]()
    except ImportError as e:
        print(json.dumps({"error": str(e)}), flush=True)
        return
    print(json.dumps({"version": side.version}), flush=True)
    workloads = {}
    gc.disable()
    for line in sys.stdin:
        command = json.loads(line)
        if "load" in command:
            w = Workload(command["load"])
            workloads[w.name] = w
            answer = {}
        else:
            w = workloads[command["run"]]
            if w.epochs:
                seconds, losses = side.train(w)
                answer = {"seconds": seconds, "first": losses[0], "last": losses[-1]}
            else:
                seconds, p = side.predict(w)
                if w.loss == "MSE":
                    last = np.square(p - w.y).mean()
                else:
                    last = -np.log(p[np.arange(w.rows), w.labels]).mean()
                answer = {"seconds": seconds, "last": float(last)}
            gc.collect()
        print(json.dumps(answer), flush=True)


main()
