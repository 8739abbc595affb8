"""Networks between Go's backprop and PyTorch: load(path) and save(model, path).

python3 backprop.py make net.safetensors net.json    train a network here, for Go
python3 backprop.py check net.safetensors net.json   predict with a network from Go
"""

import ctypes
import json
import struct
import sys
import warnings

import torch
from torch import nn

DTYPES = {"F64": torch.float64, "F32": torch.float32, "I64": torch.int64}
PLAIN = {"Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh, "ReLU": nn.ReLU, "GELU": nn.GELU, "SiLU": nn.SiLU, "SELU": nn.SELU}


class Standardize(nn.BatchNorm1d):
    """Takes inputs to mean 0 and variance 1. What it has learnt of them stays, in training too."""

    def __init__(self, width):
        super().__init__(width, affine=False, eps=0.0)

    def train(self, mode=True):
        return super().train(False)


class Unstandardize(nn.Module):
    """Takes outputs of mean 0 and variance 1 to the targets' units, as the layer of Go's of this name does."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, z):
        return z * self.running_var.sqrt() + self.running_mean


class Logits(nn.Identity):
    """Stands where the network in Go ends with a Softmax or a Sigmoid, and leaves it to the loss to apply that."""

    def __init__(self, activation):
        super().__init__()
        self.activation = activation

    def extra_repr(self):
        return self.activation


class LastSoftmax(nn.Softmax):
    """Warns in training, where nn.CrossEntropyLoss would apply a softmax to its probabilities once more."""

    def forward(self, z):
        if self.training:
            warnings.warn("these are probabilities; nn.CrossEntropyLoss takes the logits of load(path, logits=True)")
        return super().forward(z)


class Table(nn.Identity):
    """Says what the columns of a table of examples/table mean, which takes them to inputs in Go."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer


def load(path, logits=False):
    """The nn.Sequential of a file that Go has saved, in float64 and in inference mode.

    One that ends with a Softmax or a Sigmoid gives probabilities. With logits it gives what goes into that, which is
    what nn.CrossEntropyLoss and nn.BCEWithLogitsLoss take; save writes the Softmax or Sigmoid all the same.
    """
    metadata, tensors = read(path)
    if "backprop.network" not in metadata:
        raise ValueError(f"{path} does not say what its layers are; want a file from Go's Save or from save")
    network = json.loads(metadata["backprop.network"])
    model, _ = sequential(network["layers"], network["inputs"])
    model.double().load_state_dict({k: v for k, v in tensors.items() if not k.startswith("checkpoint.")}, strict=True)
    end = model
    while isinstance(end[-1], nn.Sequential):
        end = end[-1]
    if logits and not isinstance(end[-1], (nn.Softmax, nn.Sigmoid)):
        raise ValueError(f"{path} ends with {end[-1]}, not with a Softmax or a Sigmoid, which logits=True leaves out")
    if logits:
        end[-1] = Logits(activation_name(end[-1]))
    elif isinstance(end[-1], nn.Softmax):
        end[-1] = LastSoftmax(dim=1)
    return model.eval()


def read(path):
    """The metadata and the tensors of a safetensors file; the package safetensors does it as well."""
    with open(path, "rb") as f:
        start = f.read(9)
        length = int.from_bytes(start[:8], "little")
        if start[8:] != b"{" or length > 100_000_000:  # the format's limit
            raise ValueError(f"{path} is no safetensors file")
        header = json.loads(start[8:] + f.read(length - 1))
        data = bytearray(f.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        if end > len(data):
            raise ValueError(f"{path} is cut short within tensor {name}")
        if t["dtype"] not in DTYPES:
            raise ValueError(f"tensor {name} is of type {t['dtype']}, want one of {', '.join(DTYPES)}")
        flat = torch.frombuffer(data[begin:end], dtype=DTYPES[t["dtype"]]) if end > begin else torch.empty(0)
        tensors[name] = flat.reshape(t["shape"])
    return metadata, tensors


def sequential(layers, width):
    """The layers in a place with so many inputs, and how many outputs they have."""
    modules = []
    for layer in layers:
        if layer["type"] == "Dense":
            modules.append(nn.Linear(width, layer["units"], bias=not layer.get("no_bias", False)))
            width = layer["units"]
        elif layer["type"] == "BatchNorm":
            modules.append(nn.BatchNorm1d(width, eps=layer.get("epsilon", 1e-5), momentum=layer.get("momentum", 0.1)))
        elif layer["type"] == "Dropout":
            modules.append(nn.Dropout(layer.get("rate", 0.5)))
        elif layer["type"] == "Standardize":
            modules.append(Standardize(width))
        elif layer["type"] == "Unstandardize":
            modules.append(Unstandardize(width))
        elif layer["type"] == "Activate":
            modules.append(activation(layer["f"]) if "f" in layer else nn.Identity())
        elif layer["type"] == "Sequential":
            inner, width = sequential(layer["layers"], width)
            modules.append(inner)
        elif layer["type"] == "Table":
            modules.append(Table(layer))
        else:
            raise ValueError(f"backprop.py knows no layer {layer['type']}, and loads those that its README lists")
        if "activation" in layer:
            modules.append(activation(layer["activation"]))
    return nn.Sequential(*modules), width


def activation(name):
    base, _, parameter = name.rstrip(")").partition("(")
    if name in PLAIN:
        return PLAIN[name]()
    if name == "Softmax":
        return nn.Softmax(dim=1)
    if name == "Softplus":
        return nn.Softplus(threshold=40)  # the default, 20, is off by 2e-9 there
    if base == "LeakyReLU":
        return nn.LeakyReLU(float(parameter))
    if base == "ELU":
        return nn.ELU(float(parameter))
    raise ValueError(f"unknown activation {name}")


def save(model, path):
    """Writes an nn.Sequential of the modules that the README lists, and of others like it, as a file that Go loads.

    Of a model that ends with logits, save(nn.Sequential(*model, nn.Softmax(dim=1)), path) lets Go predict probabilities.
    """
    if not is_sequential(model):
        raise ValueError(
            f"a {type(model).__name__} is no nn.Sequential; save one of the modules that its forward calls, in their order, as "
            "nn.Sequential(model.hidden, nn.ReLU(), model.output), or what stands in a wrapper, as model.module"
        )
    tensors = {}
    layers = describe(model, "", tensors)
    widths = [getattr(m, "in_features", None) or getattr(m, "num_features", None) for m in model.modules()]
    inputs = next(filter(None, widths), None)
    if inputs is None:
        raise ValueError("no Linear or BatchNorm1d tells how many inputs the model has")
    network = {"inputs": inputs, "fitted": True, "layers": layers}
    write(path, {"backprop.version": "1", "backprop.network": json.dumps(network)}, tensors)


def is_sequential(module):
    return type(module).forward is nn.Sequential.forward  # and not that of a subclass which does something else


def describe(modules, prefix, tensors):
    """The layers that these modules are in Go. Adds their tensors, with names that begin with the prefix."""
    layers, index = [], 0
    for module in modules:
        if type(module) is nn.Identity or isinstance(module, nn.Dropout) and module.p == 0:
            continue  # which Go has no layers for
        place, name = f"{prefix}{index}", activation_name(module)
        if is_sequential(module):
            inner = describe(module, place + ".", tensors)
            if not inner:
                continue
            layers.append({"type": "Sequential", "layers": inner})
        elif name is None:
            layers.append(layer(module, first=not place.strip("0.")))
            tensors.update({f"{place}.{key}": tensor for key, tensor in module.state_dict().items()})
        elif layers and layers[-1]["type"] in ("Dense", "BatchNorm") and "activation" not in layers[-1]:
            layers[-1]["activation"] = name
        else:
            layers.append({"type": "Activate", "f": name})
        index += 1
    return layers


def layer(module, first):
    if isinstance(module, nn.Linear):
        return {"type": "Dense", "units": module.out_features, "no_bias": module.bias is None}
    if isinstance(module, nn.BatchNorm1d) and module.running_var is not None:
        if module.affine and module.eps and module.momentum:
            return {"type": "BatchNorm", "epsilon": module.eps, "momentum": module.momentum}
        if not module.affine and not module.eps and first:
            return {"type": "Standardize"}
    if isinstance(module, nn.Dropout) and module.p < 1:
        return {"type": "Dropout", "rate": module.p}
    if isinstance(module, Unstandardize):
        return {"type": "Unstandardize"}
    if isinstance(module, Table):
        return module.layer
    raise ValueError(f"{module} is nothing that Go has")


def activation_name(module):
    if isinstance(module, Logits):
        return module.activation
    for name, kind in PLAIN.items():
        if type(module) is kind and getattr(module, "approximate", "none") == "none":
            return name
    if isinstance(module, nn.Softmax) and module.dim in (1, -1):
        return "Softmax"
    if isinstance(module, nn.Softplus) and module.beta == 1:
        return "Softplus"
    if isinstance(module, nn.LeakyReLU):  # for Go a slope of 0 is the default one
        return f"LeakyReLU({module.negative_slope})" if module.negative_slope else "ReLU"
    if isinstance(module, nn.ELU):
        return f"ELU({module.alpha})"
    return None


def write(path, metadata, tensors):
    """Writes a safetensors file; safetensors.torch.save_file(tensors, path, metadata) does it as well."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, data = {"__metadata__": metadata}, b""
    for name, t in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        if t.dtype not in names:
            raise ValueError(f"tensor {name} is of type {t.dtype}, want float64 or float32; model.double() makes it so")
        t = t.detach().cpu().contiguous()
        end = len(data) + t.numel() * t.element_size()
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), end]}
        data += ctypes.string_at(t.data_ptr(), end - len(data))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def make(path, predictions):
    """Learns which of two rings a point lies on, and leaves predictions for Go to compare."""
    torch.manual_seed(0)
    angle, label = 2 * torch.pi * torch.rand(500), torch.arange(500) % 2
    x = torch.stack([angle.cos(), angle.sin()], 1) * (1 + label[:, None]) + 0.2 * torch.randn(500, 2)
    model = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Dropout(0.1), nn.Linear(16, 2), nn.Softmax(dim=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        loss = nn.functional.nll_loss(model(x).log(), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save(model, path)
    x = x[:20].double()
    with open(predictions, "w") as f:
        json.dump({"x": x.tolist(), "y": model.double().eval()(x).tolist()}, f)


def check(path, predictions):
    """Prints the largest relative difference between Go's predictions and those made here."""
    with open(predictions) as f:
        p = json.load(f)
    x, want = torch.tensor(p["x"], dtype=torch.float64), torch.tensor(p["y"], dtype=torch.float64)
    with torch.no_grad():
        got = load(path)(x)
    print(f"{len(x)} predictions, largest difference {((got - want).abs() / want.abs().clamp(min=1)).max():.1g}")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
