"""Networks between Go's backprop and PyTorch: load(path) and save(model, path).

python3 backprop.py make net.safetensors net.json    train a network here, for Go
python3 backprop.py check net.safetensors net.json   predict with a network from Go
"""

import ctypes
import json
import struct
import sys

import torch
from torch import nn

DTYPES = {"F64": torch.float64, "F32": torch.float32, "I64": torch.int64}
PLAIN = {"Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh, "ReLU": nn.ReLU, "GELU": nn.GELU, "SiLU": nn.SiLU, "SELU": nn.SELU}


class Unstandardize(nn.Module):
    """Takes outputs of mean 0 and variance 1 to the targets' units, as the layer of Go's of this name does."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, z):
        return z * self.running_var.sqrt() + self.running_mean


def load(path):
    """The nn.Sequential of a file that Go has saved, in float64 and in inference mode."""
    metadata, tensors = read(path)
    model = sequential(json.loads(metadata["backprop.network"]))
    model.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("checkpoint.")}, strict=True)
    return model.eval()


def read(path):
    """The metadata and the tensors of a safetensors file; the package safetensors does it as well."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
        data = bytearray(f.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        flat = torch.frombuffer(data[begin:end], dtype=DTYPES[t["dtype"]]) if end > begin else torch.empty(0)
        tensors[name] = flat.reshape(t["shape"])
    return metadata, tensors


def sequential(network):
    modules, width = [], network["inputs"]
    for layer in network["layers"]:
        if layer["type"] == "Dense":
            modules.append(nn.Linear(width, layer["units"], bias=not layer.get("no_bias", False)))
            width = layer["units"]
        elif layer["type"] == "BatchNorm":
            modules.append(nn.BatchNorm1d(width, eps=layer.get("epsilon", 1e-5), momentum=layer.get("momentum", 0.1)))
        elif layer["type"] == "Dropout":
            modules.append(nn.Dropout(layer.get("rate", 0.5)))
        elif layer["type"] == "Standardize":
            modules.append(nn.BatchNorm1d(width, affine=False, eps=0.0))
        elif layer["type"] == "Unstandardize":
            modules.append(Unstandardize(width))
        else:
            raise ValueError(f"unknown layer {layer['type']}")
        if "activation" in layer:
            modules.append(activation(layer["activation"]))
    return nn.Sequential(*modules).double()


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
    """Writes an nn.Sequential of Linear, activations, BatchNorm1d, Dropout and Unstandardize as a file that Go loads."""
    layers, tensors, inputs, index = [], {}, None, 0
    for module in model:
        if isinstance(module, nn.Identity) or isinstance(module, nn.Dropout) and module.p == 0:
            continue  # which Go has no layers for
        name = activation_name(module)
        if name is None:
            layers.append(layer(module, first=not layers))
        elif layers and layers[-1]["type"] in ("Dense", "BatchNorm") and "activation" not in layers[-1]:
            layers[-1]["activation"] = name
        else:
            raise ValueError(f"{module} does not stand behind a Linear or a BatchNorm1d")
        inputs = inputs or getattr(module, "in_features", None) or getattr(module, "num_features", None)
        for name, tensor in module.state_dict().items():
            tensors[f"{index}.{name}"] = tensor
        index += 1
    network = {"inputs": inputs, "fitted": True, "layers": layers}
    write(path, {"backprop.version": "1", "backprop.network": json.dumps(network)}, tensors)


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
    raise ValueError(f"{module} is nothing that Go has")


def activation_name(module):
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
