"""NumPy's or PyTorch's side of the benchmark: python3 peers.py NumPy|PyTorch|"PyTorch float32"

Reads commands from standard input, each a line of JSON. {"load": title, …} is
a workload, which a safetensors file with its layers and initial parameters
follows, and its data unless they are those of the one before. {"run": title}
trains it from those parameters, or predicts, and is answered with the seconds
that took and the losses, or with null if that is not for this side. All is
float64, but for float32, PyTorch's.
"""

import ctypes
import gc
import json
import math
import sys
import time

try:
    import numpy as np
except ImportError as e:
    sys.exit(str(e))

stdin = sys.stdin.buffer


def read_array(*shape):
    return np.frombuffer(bytearray(stdin.read(8 * math.prod(shape))), "<f8").reshape(shape)


def read_safetensors():
    """The layers, as Go's Save describes them, and the tensors by their names in PyTorch."""
    header = json.loads(stdin.read(int.from_bytes(stdin.read(8), "little")))
    layers = json.loads(header.pop("__metadata__")["backprop.network"])["layers"]
    in_order = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    return layers, {name: read_array(*t["shape"]) for name, t in in_order}


class Workload:
    """A workload's description and its arrays."""

    def __init__(self, description, last):
        self.__dict__.update(description)  # see load in peers.go
        self.layers, self.tensors = read_safetensors()
        if self.fresh:
            self.x, self.y = read_array(self.rows, self.inputs), read_array(self.rows, self.outputs)
        else:
            self.x, self.y = last.x, last.y
        self.labels = self.y.argmax(axis=1)
        self.batch = self.batch or self.rows
        # The samples of each epoch in their order, or None for all at once.
        self.order = np.array(self.order) if self.batch < self.rows else None
        # Types in Go, such as backprop.mse and *backprop.Adam, or <nil> for the default.
        self.loss, self.optimizer = (name.split(".")[-1] for name in (self.loss, self.optimizer))
        if self.loss == "<nil>":
            self.loss = "crossEntropy" if self.layers[-1].get("activation") == "Softmax" else "mse"
        if self.optimizer == "<nil>":
            self.optimizer = "SGD"
        self.settings = {name.lower(): value for name, value in (self.settings or {}).items() if value}

    def batches(self):
        return [slice(i, min(i + self.batch, self.rows)) for i in range(0, self.rows, self.batch)]


# ─── NumPy ───────────────────────────────────────────────────────────────────


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


FORWARD = {None: None, "ReLU": relu, "Sigmoid": sigmoid, "Tanh": tanh, "Softmax": softmax}
BACKWARD = {"ReLU": relu_backward, "Sigmoid": sigmoid_backward, "Tanh": tanh_backward}


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
        numbers = sorted({int(name.split(".")[0]) for name in w.tensors})
        tensors = [w.tensors[f"{i}.{name}"] for i in numbers for name in ("weight", "bias")]
        self.params = np.concatenate([t.ravel() for t in tensors])
        self.grad = np.empty_like(self.params)

        def views(flat):
            parts = np.split(flat, np.cumsum([t.size for t in tensors])[:-1])
            return [part.reshape(t.shape) for part, t in zip(parts, tensors)]

        params, grads = views(self.params), views(self.grad)
        self.layers = [(W, W.T, b, dW, db) for W, b, dW, db in zip(params[::2], params[1::2], grads[::2], grads[1::2])]
        activations = [layer.get("activation") for layer in w.layers]
        self.forwards = [FORWARD[f] for f in activations]
        self.backwards = [BACKWARD.get(f) for f in activations]
        if w.loss == "crossEntropy" and w.epochs:  # takes z
            self.forwards[-1] = self.backwards[-1] = None
        self.buffers = {n: [tuple(np.empty((n, layer["units"])) for _ in range(3)) for layer in w.layers]
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
        loss = mse if self.w.loss == "mse" else cross_entropy
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
    name = "NumPy " + np.__version__ + blas()

    def takes(self, w):
        return (
            all(layer["type"] == "Dense" and "no_bias" not in layer for layer in w.layers)
            and all(layer.get("activation") in FORWARD for layer in w.layers)
            and w.optimizer in ("SGD", "Adam")
            and w.loss in ("mse", "crossEntropy")
            and not (w.settings or w.l2 or w.weight_decay or w.clip_norm or w.clip_value)
        )

    def tolerance(self, w):
        return 1e-9

    def train(self, w):
        net = NumPyNetwork(w)
        update = net.update_adam if w.optimizer == "Adam" else net.update_sgd
        targets = w.y if w.loss == "mse" else w.labels
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

LOSSES = {"mse": "MSELoss", "mae": "L1Loss", "Huber": "HuberLoss", "crossEntropy": "CrossEntropyLoss"}


class PyTorch:
    def __init__(self, dtype="float64"):
        try:
            import torch
        except ImportError as e:
            sys.exit(str(e))
        torch.set_num_threads(1)
        self.dtype = getattr(torch, dtype)
        torch.set_default_dtype(self.dtype)
        self.torch = torch
        self.name = "PyTorch " + torch.__version__ + (" float32" if dtype == "float32" else "")

    def takes(self, w):
        return True

    def tolerance(self, w):
        if any(layer["type"] == "Dropout" for layer in w.layers):
            return 1  # other numbers are drawn
        if self.dtype == self.torch.float32 or w.clip_norm:  # clip_grad_norm_ adds 1e-6 to the norm
            return 1e-3
        return 1e-9

    def network(self, w):
        nn, modules, width = self.torch.nn, [], w.inputs
        for layer in w.layers:
            if layer["type"] == "Dense":
                modules.append(nn.Linear(width, layer["units"], bias=not layer.get("no_bias", False)))
                width = layer["units"]
            elif layer["type"] == "BatchNorm":
                modules.append(nn.BatchNorm1d(width))
            elif layer["type"] == "Dropout":
                modules.append(nn.Dropout(layer.get("rate", 0.5)))
            elif layer["type"] == "Standardize":
                modules.append(self.standardize(w.x))
            else:
                raise ValueError(f"peers.py knows no layer {layer['type']}")
            if "activation" in layer:
                name, *parameters = layer["activation"].rstrip(")").split("(")
                modules.append(getattr(nn, name)(*map(float, parameters)) if name != "Softmax" else nn.Softmax(dim=1))
        if w.loss == "crossEntropy" and w.epochs:  # takes z
            modules.pop()
        net = nn.Sequential(*modules)
        # Not strict, since the statistics of Standardize are no tensors of its module here.
        net.load_state_dict({name: self.torch.from_numpy(t) for name, t in w.tensors.items()}, strict=False)
        return net

    def standardize(self, x):
        mean, std = (self.torch.from_numpy(a).to(self.dtype) for a in (x.mean(0), x.std(0)))

        class Standardize(self.torch.nn.Module):
            def forward(self, x):
                return (x - mean) / std

        return Standardize()

    def optimizer(self, w, net):
        optim = self.torch.optim
        adam = optim.AdamW if w.weight_decay else optim.Adam
        optimizer = {"SGD": optim.SGD, "RMSProp": optim.RMSprop, "AdaGrad": optim.Adagrad, "Adam": adam}[w.optimizer]
        decay = w.weight_decay or w.l2
        if not decay:
            return optimizer(net.parameters(), lr=w.rate, **w.settings)
        weights = [p for p in net.parameters() if p.dim() > 1]
        others = [p for p in net.parameters() if p.dim() == 1]
        groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0}]
        return optimizer(groups, lr=w.rate, **w.settings)

    def clip(self, w, parameters):
        if w.clip_norm:
            self.torch.nn.utils.clip_grad_norm_(parameters, w.clip_norm)
        if w.clip_value:
            self.torch.nn.utils.clip_grad_value_(parameters, w.clip_value)

    def train(self, w):
        torch, net = self.torch, self.network(w)
        optimizer, parameters = self.optimizer(w, net), list(net.parameters())
        criterion = getattr(torch.nn, LOSSES[w.loss])()
        inputs = torch.from_numpy(w.x).to(self.dtype)
        targets = torch.from_numpy(w.labels) if w.loss == "crossEntropy" else torch.from_numpy(w.y).to(self.dtype)
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
                self.clip(w, parameters)
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
    side = {"NumPy": NumPy, "PyTorch": PyTorch, "PyTorch float32": lambda: PyTorch("float32")}[sys.argv[1]]()
    print(json.dumps({"name": side.name}), flush=True)
    workloads, w = {}, None
    gc.disable()  # but between runs, where what has been imported is not looked at
    gc.freeze()
    while line := stdin.readline():
        command = json.loads(line)
        if "load" in command:
            w = workloads[command["load"]] = Workload(command, w)
            continue
        answer = run(side, workloads[command["run"]])
        gc.collect()  # while it is still its turn
        print(json.dumps(answer), flush=True)


def run(side, w):
    if not side.takes(w):
        return None
    if w.epochs:
        seconds, losses = side.train(w)
        return {"seconds": seconds, "first": losses[0], "last": losses[-1], "tolerance": side.tolerance(w)}
    seconds, p = side.predict(w)
    if w.loss == "mse":
        last = np.square(p - w.y).mean()
    else:
        last = -np.log(p[np.arange(w.rows), w.labels]).mean()
    return {"seconds": seconds, "last": float(last), "tolerance": side.tolerance(w)}


main()
