#!/usr/bin/env python3
"""Reference training runs, computed by PyTorch in float64 on one thread.

    python3 pytorch.py        # writes pytorch.json beside this file

The tests read pytorch.json and hold the library to it. The keys of a run are
the names of the library's fields; an absent key means the default, which is
the same in PyTorch and in the library. Parameters, initial and final, lie
layer by layer: W (row-major, out x in), b, or gamma, beta. Batches are taken
in order, the last one is short; losses[i] is the loss of step i before its
update. predictions (of the first samples), evalLoss (of the whole set),
inputGradient (of the first samples' loss, in the first run of each network and
loss) and statistics (of every layer that has some) are those after training,
in inference mode. The versions used are in the file.

Not fields of the library: batches are the sizes of a sequence's batches, whose
weights count as they are; of a set in memory they are scaled to mean 1, and
validationLoss is evalLoss with them. frozenEpochs are from where to where the
layers in freeze are frozen; without it they are throughout.
"""

import json
import platform
import warnings
from functools import partial
from itertools import repeat
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler as sched

SEED = 3  # with it no weight ends so near zero that rounding errors show
SAMPLES, INPUTS, OUTPUTS = 23, 5, 3
BATCH, EPOCHS = 8, 14  # batches of 8, 8 and 7: 42 steps
FOREACH = {"foreach": False}  # the plain loop over parameters


# Data


def make_data():
    x = torch.randn(SAMPLES, INPUTS).round(decimals=3)
    scale = torch.tensor([10, 0.1, 3, 1, 40])
    shift = torch.tensor([12, 0.05, -2, 0, 60])
    score = torch.stack(
        [x[:, 0] * x[:, 1] - x[:, 2], torch.sin(2 * x[:, 3]) + x[:, 4], x[:, 0] - x[:, 3] ** 2 / 2], 1
    )
    score += 0.3 * torch.randn(SAMPLES, OUTPUTS)
    binary = (score > 0).double()
    binary[2, 0], binary[9, 1], binary[20, 2] = 0.3, 0.75, 0.5
    classes = F.one_hot(score.argmax(1), OUTPUTS).double()
    classes[4] = torch.tensor([0.25, 0.5, 0.25])
    classes[13] = torch.tensor([0.625, 0.25, 0.125])
    classes[22] = torch.tensor([0.0, 0.4, 0.6])
    return {
        "x": x,
        "raw": (x * scale + shift).round(decimals=3),  # the same in natural units, to be standardized
        "regression": score.round(decimals=3),
        "binary": binary,
        "classes": classes,
        "rawRegression": (score * torch.tensor([40, 0.2, 3]) + torch.tensor([-100, 1, 7])).round(decimals=3),
        "weights": 0.75 * (torch.arange(SAMPLES) % 5)[:, None],  # a fifth of them 0
    }


def weights_of(run, data):
    """The samples' weights as they count, or None."""
    if "weights" not in run:
        return None
    w = data[run["weights"]][:, 0]
    return w if "batches" in run else scaled(w)


def scaled(w):
    return w * len(w) / w.sum()


# Networks

ACTIVATION = {
    "Identity": nn.Identity,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "ReLU": nn.ReLU,
    "GELU": nn.GELU,  # the exact one, by erf
    "SiLU": nn.SiLU,
    "SELU": nn.SELU,
    "Softplus": nn.Softplus,  # PyTorch returns z itself above z = 20; no run goes there
    "LeakyReLU(0.01)": lambda: nn.LeakyReLU(0.01),
    "ELU(1)": lambda: nn.ELU(1),
    "Softmax": lambda: nn.Softmax(dim=1),
}


class Standardize(nn.BatchNorm1d):
    """Column mean and population variance of the training data, weighted, never updated."""

    def __init__(self, x, w=None):
        super().__init__(x.shape[1], affine=False, eps=0)
        if w is None:
            mean, variance = x.mean(0), x.var(0, unbiased=False)
        else:
            mean = w @ x / w.sum()
            variance = w @ (x - mean) ** 2 / w.sum()
        self.running_mean.copy_(mean)
        self.running_var.copy_(variance)
        self.eval()

    def train(self, mode=True):
        return super().train(False)

    def inverse(self, z):
        return z * self.running_var.sqrt() + self.running_mean


def build(run, x, w):
    """The run's network; each of its layers is two modules, the linear map or norm and the activation.

    An Unstandardize is none of them: the network is trained on standardized targets.
    """
    layers, width = [], INPUTS
    for spec in run["layers"]:
        if spec["type"] == "Dense":
            layer = nn.Linear(width, spec["units"], bias=not spec.get("noBias", False))
            width = spec["units"]
        elif spec["type"] == "BatchNorm":
            layer = nn.BatchNorm1d(width, eps=spec.get("epsilon", 1e-5), momentum=spec.get("momentum", 0.1))
        elif spec["type"] == "Standardize":
            layer = Standardize(x, w)
        else:
            continue
        layers += [layer, ACTIVATION[spec.get("activation", "Identity")]()]
    return nn.Sequential(*layers)


# Losses: all are means over the batch, of each sample's times its weight; FUSED ones take the output layer's z.

LOSS = {"MSE": F.mse_loss, "MAE": F.l1_loss}
LOSS["Huber(1)"] = partial(F.huber_loss, delta=1.0)
LOSS["Huber(0.5)"] = partial(F.huber_loss, delta=0.5)
FUSED = {"BinaryCrossEntropy": F.binary_cross_entropy_with_logits, "CrossEntropy": F.cross_entropy}


def loss(run, net, x, y, w=None):
    if run["loss"] in FUSED:
        of, a = FUSED[run["loss"]], net[:-1](x)
    else:
        of, a = LOSS[run["loss"]], net(x)
    if w is None:
        return of(a, y)
    return (w * of(a, y, reduction="none").view(len(y), -1).mean(1)).mean()


# Optimizers


def optimizer(run, groups):
    spec, lr = dict(run["optimizer"]), run["learningRate"]
    kind = spec.pop("type")
    if "epsilon" in spec:
        spec["eps"] = spec.pop("epsilon")
    if kind == "SGD":
        return torch.optim.SGD(groups, lr, **spec, **FOREACH)
    if kind == "RMSProp":
        return torch.optim.RMSprop(groups, lr, **spec, **FOREACH)
    if kind == "AdaGrad":
        return torch.optim.Adagrad(groups, lr, **spec, **FOREACH)
    if kind == "Adam":
        betas = spec.pop("beta1", 0.9), spec.pop("beta2", 0.999)
        adam = torch.optim.AdamW if "weightDecay" in run else torch.optim.Adam
        return adam(groups, lr, betas, **spec, **FOREACH)


def freeze(run, net, epoch):
    """Freezes the layers that the run has frozen in an epoch, and no others."""
    begin, end = run.get("frozenEpochs", (0, EPOCHS))
    for i, m in enumerate(net[::2]):
        frozen = i in run.get("freeze", []) and begin <= epoch < end
        m.train(not frozen)
        for p in m.parameters():
            p.requires_grad_(not frozen)
            p.grad = None  # the optimizers leave such parameters alone


def train(run, net, x, y, w):
    """Trains net; returns the loss of each step and at how many steps clipping was active."""
    weights = [m.weight for m in net if isinstance(m, nn.Linear)]
    others = [p for p in net.parameters() if all(p is not w for w in weights)]
    l2, decay = run.get("l2", 0), run.get("weightDecay", 0)
    clip = "clipNorm" in run or "clipValue" in run
    adamw = run["optimizer"]["type"] == "Adam" and decay > 0
    # PyTorch's weight_decay is decoupled in AdamW, L2 in all others. Clipping comes after L2, so there L2 is by hand.
    weight_decay = decay if adamw else 0 if clip else l2
    opt = optimizer(run, [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0}])

    losses, clipped = [], 0
    size = run.get("batches", run.get("batchSize", BATCH))
    batches = [None if m is None else m.split(size) for m in (x, y, w)]
    for epoch in range(EPOCHS):
        freeze(run, net, epoch)
        moving = [p for p in net.parameters() if p.requires_grad]
        moving_weights = [p for p in weights if p.requires_grad]
        for xb, yb, wb in zip(*[m or repeat(None) for m in batches]):
            opt.zero_grad()
            value = loss(run, net, xb, yb, wb)
            value.backward()
            losses.append(value.item())
            with torch.no_grad():
                if clip:
                    for p in moving_weights:
                        p.grad += l2 * p
                    clipped += clip_gradient(run, [p.grad for p in moving])
                if decay and not adamw:
                    for p in moving_weights:
                        p *= 1 - run["learningRate"] * decay
            opt.step()
    return losses, clipped


def clip_gradient(run, grads):
    """Clips in place; whether it was active.

    The norm is clipped by hand: clip_grad_norm_ adds 1e-6 to the denominator, here it is min(1, c / norm).
    """
    flat = torch.cat([g.flatten() for g in grads])
    if "clipValue" in run:
        for g in grads:
            g.clamp_(-run["clipValue"], run["clipValue"])
        return bool(flat.abs().max() > run["clipValue"])
    length = flat.norm()
    for g in grads:
        g *= min(1, run["clipNorm"] / length)
    return bool(length > run["clipNorm"])


# The runs

TASK = {  # loss: (output activation, targets)
    "MSE": ("Identity", "regression"),
    "MAE": ("Identity", "regression"),
    "Huber(1)": ("Identity", "regression"),
    "Huber(0.5)": ("Identity", "regression"),
    "BinaryCrossEntropy": ("Sigmoid", "binary"),
    "CrossEntropy": ("Softmax", "classes"),
}
TASKS = "MSE", "BinaryCrossEntropy", "CrossEntropy"


def dense(units, activation="Identity", **spec):
    return {"type": "Dense", "units": units, "activation": activation, **spec}


def norm(activation="Identity", **spec):
    return {"type": "BatchNorm", "activation": activation, **spec}


def make_run(
    group, name, loss, eta, hidden="Tanh", output=None, y=None, layers=None, x="x", initial="dense", behind=(), **spec
):
    usual_output, usual_y = TASK[loss]
    output = output or usual_output
    return {
        "name": f"{name}, {loss}",
        "group": group,
        "x": x,
        "y": y or usual_y,
        "initial": initial,
        "layers": (layers or [dense(6, hidden), dense(4, hidden)]) + [dense(OUTPUTS, output), *behind],
        "loss": loss,
        "optimizer": spec.pop("optimizer", {"type": "SGD"}),
        "learningRate": eta,
        **spec,
    }


MOMENTUM = {"type": "SGD", "momentum": 0.9}
NESTEROV = {"type": "SGD", "momentum": 0.9, "nesterov": True}
RMSPROP, ADAM, ADAGRAD = {"type": "RMSProp"}, {"type": "Adam"}, {"type": "AdaGrad"}
OPTIMIZERS = [  # name, optimizer, learning rate
    ("momentum", MOMENTUM, 0.03),
    ("Nesterov", NESTEROV, 0.03),
    ("RMSProp", RMSPROP, 0.003),
    ("RMSProp centered", {**RMSPROP, "centered": True}, 0.003),
    ("RMSProp with momentum", {**RMSPROP, "momentum": 0.9}, 0.001),
    ("RMSProp centered with momentum", {**RMSPROP, "centered": True, "momentum": 0.9}, 0.001),
    ("RMSProp alpha 0.9 epsilon 0.001", {**RMSPROP, "alpha": 0.9, "epsilon": 1e-3}, 0.01),
    ("Adam", ADAM, 0.02),
    ("Adam betas 0.8 0.95 epsilon 0.001", {**ADAM, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3}, 0.02),
    ("AdaGrad", ADAGRAD, 0.05),
]


def make_runs():
    runs = []

    def add(*args, **spec):
        runs.append(make_run(*args, **spec))

    for task, eta in ("MSE", 0.1), ("BinaryCrossEntropy", 0.3), ("CrossEntropy", 0.1):
        for hidden in ACTIVATION:
            flat = hidden in ("Sigmoid", "Softmax")
            add("activations", hidden, task, 0.5 if flat else eta, hidden=hidden)
    for task in "MAE", "Huber(1)", "Huber(0.5)":
        add("losses", "Tanh", task, 0.1)
    add("losses", "Sigmoid output", "MSE", 0.5, output="Sigmoid", y="binary")
    add("losses", "Softmax output", "MSE", 0.5, output="Softmax", y="classes")

    for task in TASKS:
        for name, opt, eta in OPTIMIZERS:
            add("optimizers", name, task, eta, optimizer=opt)

    for task in "MSE", "CrossEntropy":
        add("penalties", "L2", task, 0.1, l2=0.05)
        add("penalties", "L2, Nesterov", task, 0.03, l2=0.05, optimizer=NESTEROV)
        add("penalties", "L2, Adam", task, 0.02, l2=0.05, optimizer=ADAM)
        add("penalties", "L2, RMSProp", task, 0.003, l2=0.05, optimizer=RMSPROP)
        add("penalties", "weight decay, Adam", task, 0.02, weightDecay=0.05, optimizer=ADAM)
        add("penalties", "weight decay", task, 0.1, weightDecay=0.05)
        add("penalties", "weight decay, momentum", task, 0.03, weightDecay=0.05, optimizer=MOMENTUM)

    for task, c, v in ("MSE", 1.0, 0.35), ("CrossEntropy", 0.6, 0.2):
        add("clipping", "clip norm", task, 0.1, clipNorm=c)
        add("clipping", "clip norm, Adam", task, 0.02, clipNorm=c, optimizer=ADAM)
        add("clipping", "clip norm, L2, Adam", task, 0.02, clipNorm=c, l2=0.05, optimizer=ADAM)
        add("clipping", "clip norm, weight decay, Adam", task, 0.02, clipNorm=c, weightDecay=0.05, optimizer=ADAM)
        add("clipping", "clip value", task, 0.1, clipValue=v)
        add("clipping", "clip value, momentum", task, 0.03, clipValue=v, optimizer=MOMENTUM)
        add("clipping", "clip value, L2", task, 0.1, clipValue=v, l2=0.05)

    # A bias before batch norm has gradient zero but for rounding, and Adam divides by that: no bias there.
    biased = [dense(6), norm("ReLU"), dense(4, "Tanh"), norm()]
    plain = [dense(6, noBias=True), norm("ReLU"), dense(4, "Tanh"), norm()]
    other = [dense(6), norm("ReLU", momentum=0.3, epsilon=1e-3), dense(4, "Tanh"), norm(momentum=0.3, epsilon=1e-3)]
    first = [norm(), dense(6, "Tanh"), norm("Tanh")]
    for task in "MSE", "CrossEntropy":
        add("batch norm", "batch norm", task, 0.1, layers=biased, initial="batchnorm")
        add("batch norm", "batch norm, Adam", task, 0.01, layers=plain, initial="batchnorm no bias", optimizer=ADAM)
        add("batch norm", "batch norm momentum 0.3 epsilon 0.001", task, 0.1, layers=other, initial="batchnorm")
        add("batch norm", "batch norm first", task, 0.1, layers=first, initial="batchnorm first", x="raw")

    standardized = [{"type": "Standardize"}, dense(6, "Tanh"), dense(4, "Tanh")]
    add("standardize", "standardize", "MSE", 0.1, layers=standardized, x="raw")
    add("standardize", "standardize, Adam", "CrossEntropy", 0.02, layers=standardized, x="raw", optimizer=ADAM)

    # From here on the networks are narrow, so that the file stays small.
    narrow = {"layers": [dense(3, "Tanh"), dense(2, "Tanh")], "initial": "narrow"}
    weighted = {**narrow, "weights": "weights"}
    standardized = {"layers": [{"type": "Standardize"}, *narrow["layers"]], "initial": "narrow", "x": "raw"}
    full = {"batchSize": SAMPLES}
    for task, name, opt, eta in (
        ("MSE", "momentum", MOMENTUM, 0.03),
        ("MAE", "Adam", ADAM, 0.02),
        ("Huber(0.5)", "RMSProp", RMSPROP, 0.003),
        ("BinaryCrossEntropy", "AdaGrad", ADAGRAD, 0.05),
        ("CrossEntropy", "Adam", ADAM, 0.02),
    ):
        add("weights", f"weights, {name}", task, eta, optimizer=opt, **weighted)
        add("weights", "weights, full batch", task, 0.1, **full, **weighted)
    standardized_weighted = {**standardized, "weights": "weights"}
    add("weights", "weights, standardize", "MSE", 0.1, **standardized_weighted)
    add("weights", "weights, standardize, full batch", "CrossEntropy", 0.1, **full, **standardized_weighted)

    uneven = {"batches": [4, 1, 10, 2, 6]}
    add("batches", "batches", "CrossEntropy", 0.1, **uneven, **narrow)
    add("batches", "batches, weights", "MSE", 0.03, **uneven, **weighted)
    add("batches", "batches, weights, momentum", "BinaryCrossEntropy", 0.02, optimizer=MOMENTUM, **uneven, **weighted)
    clipped = {"clipNorm": 0.6, "l2": 0.05, "optimizer": ADAM, **uneven, **weighted}
    add("batches", "batches, weights, clip norm, L2, Adam", "CrossEntropy", 0.02, **clipped)
    add("batches", "batches, weights, standardize", "MAE", 0.03, **uneven, **standardized_weighted)

    original = {"y": "rawRegression", "behind": [{"type": "Unstandardize"}]}
    add("unstandardize", "unstandardize", "MSE", 0.1, **original, **narrow)
    add("unstandardize", "unstandardize, Adam", "MAE", 0.02, optimizer=ADAM, **original, **narrow)
    add("unstandardize", "unstandardize, standardize", "Huber(1)", 0.1, **original, **standardized)
    add("unstandardize", "unstandardize, weights", "MSE", 0.1, **original, **weighted)
    add("unstandardize", "unstandardize, weights, full batch", "Huber(0.5)", 0.1, **original, **full, **weighted)
    add("unstandardize", "unstandardize, weights, batches", "MSE", 0.03, **original, **uneven, **weighted)

    # A layer is frozen throughout, or at the end, when the optimizer remembers something of it, or in between. Adam
    # is never thawed: PyTorch counts a parameter's own steps, the library the optimizer's.
    for task, name, opt, eta, layers in (
        ("MSE", "momentum", MOMENTUM, 0.03, [1]),
        ("CrossEntropy", "Adam", ADAM, 0.02, [0]),
        ("MSE", "RMSProp centered with momentum", {**RMSPROP, "centered": True, "momentum": 0.9}, 0.001, [2]),
        ("BinaryCrossEntropy", "AdaGrad", ADAGRAD, 0.05, [0, 2]),
    ):
        frozen = {"optimizer": opt, "freeze": layers, **narrow}
        add("freeze", f"frozen, {name}", task, eta, **frozen)
        add("freeze", f"frozen at the end, {name}", task, eta, frozenEpochs=[5, EPOCHS], **frozen)
        if opt != ADAM:
            add("freeze", f"frozen in between, {name}", task, eta, frozenEpochs=[4, 9], **frozen)
    late = {"freeze": [0], "frozenEpochs": [3, EPOCHS], **narrow}
    add("freeze", "frozen, clip norm, L2, momentum", "MSE", 0.03, clipNorm=0.7, l2=0.05, optimizer=MOMENTUM, **late)
    add("freeze", "frozen, clip value, L2, RMSProp", "MSE", 0.003, clipValue=0.2, l2=0.05, optimizer=RMSPROP, **late)
    add("freeze", "frozen, L2, AdaGrad", "CrossEntropy", 0.05, l2=0.05, optimizer=ADAGRAD, **late)
    add("freeze", "frozen, L2, Adam", "CrossEntropy", 0.02, l2=0.05, optimizer=ADAM, **late)
    clipped = {"clipNorm": 0.4, "weightDecay": 0.05, "optimizer": ADAM, **late}
    add("freeze", "frozen, clip norm, weight decay, Adam", "CrossEntropy", 0.02, **clipped)
    add("freeze", "frozen, weight decay, momentum", "MSE", 0.03, weightDecay=0.05, optimizer=MOMENTUM, **late)
    plain = [dense(3, noBias=True), norm("Tanh"), dense(2, noBias=True), norm()]
    normed = {"layers": plain, "initial": "narrow batchnorm"}
    for task, name, opt, eta in ("MSE", "momentum", MOMENTUM, 0.03), ("BinaryCrossEntropy", "Adam", ADAM, 0.02):
        add("freeze", f"frozen batch norm, {name}", task, eta, optimizer=opt, freeze=[1], **normed)
        late = {"optimizer": opt, "freeze": [0, 1, 3], "frozenEpochs": [5, EPOCHS], **normed}
        add("freeze", f"frozen batch norm at the end, {name}", task, eta, **late)
    add("batches", "batches, weights, batch norm", "MSE", 0.03, weights="weights", batches=[4, 2, 10, 7], **normed)
    return runs


def make_initial(net):
    """Weights wide enough to bend every activation and, for relative errors' sake, none near zero."""

    def spread(p, scale):
        return torch.randn_like(p).sign() * (0.4 + torch.rand_like(p)) * scale

    values = []
    for m in net:
        if isinstance(m, nn.Linear):
            values.append(spread(m.weight, 1.2 / m.in_features**0.5))
            values += [] if m.bias is None else [spread(m.bias, 0.3)]
        elif isinstance(m, nn.BatchNorm1d) and m.affine:
            values += [spread(m.weight, 1).abs(), spread(m.bias, 0.3)]
    return torch.cat([v.flatten() for v in values]).round(decimals=4)


def result(run, net, x, y, w):
    """Trains net as the run says; the figures that the library must reproduce."""
    behind = Standardize(y, w) if run["layers"][-1]["type"] == "Unstandardize" else None
    y = y if behind is None else behind(y)
    losses, clipped = train(run, net, x, y, w)
    net.eval()
    normed = any(spec["type"] == "BatchNorm" for spec in run["layers"])
    with torch.no_grad():
        a = net(x if normed else x[:2])
        found = {
            "losses": losses,
            "params": nn.utils.parameters_to_vector(net.parameters()).tolist(),
            "predictions": (a if behind is None else behind.inverse(a)).tolist(),
            "evalLoss": loss(run, net, x, y).item(),
        }
        if w is not None:
            found["validationLoss"] = loss(run, net, x, y, scaled(w)).item()
    modules = [*net[::2], behind]
    statistics = [
        {"layer": i, "mean": m.running_mean.tolist(), "variance": m.running_var.tolist()}
        for i, m in enumerate(modules)
        if isinstance(m, nn.BatchNorm1d)
    ]
    if statistics:
        found["statistics"] = statistics
    if "clipNorm" in run or "clipValue" in run:
        found["clippedSteps"] = clipped
    found["inputGradient"] = input_gradient(run, net, x[:2], y[:2])
    return found


def input_gradient(run, net, x, y):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(loss(run, net, x, y), x)[0].tolist()


# Schedules: the learning rate of epochs 0, 1, ...

BASE, SCHEDULE_EPOCHS = 0.1, 40
LOSSES = (  # what ReduceLROnPlateau is shown: falls, plateaus, a spike, crawling, and a long end without progress
    [1.0, 0.8, 0.65, 0.65, 0.66, 0.65, 0.649, 0.5, 0.4999, 0.49989, 0.49988, 0.52, 0.51, 0.45, 0.9, 0.44, 0.4397]
    + [0.4394, 0.4391, 0.4388, 0.4385, 0.3, 0.31, 0.305, 0.3, 0.2999, 0.2998, 0.25, 0.26, 0.26]
    + [0.251, 0.2501, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25]
)


def torch_schedule(spec, opt):
    kind = spec["type"]
    if kind == "StepDecay":
        return sched.StepLR(opt, spec["every"], spec["factor"])
    if kind == "CosineDecay":  # past its last epoch PyTorch's cosine rises again
        return sched.CosineAnnealingLR(opt, spec["epochs"], spec["min"])
    if kind == "Warmup":  # epoch 0 uses start * base; at the milestone the next one begins with its own epoch 0
        warmup = sched.LinearLR(opt, start_factor=spec["start"], total_iters=spec["epochs"])
        if "then" not in spec:
            return warmup
        return sched.SequentialLR(opt, [warmup, torch_schedule(spec["then"], opt)], milestones=[spec["epochs"]])
    if kind == "ReduceLROnPlateau":
        options = {key: spec[key] for key in ("factor", "patience", "threshold", "cooldown")}
        return sched.ReduceLROnPlateau(opt, min_lr=spec["min"], threshold_mode="rel", **options)


def rates(spec):
    opt = torch.optim.SGD([nn.Parameter(torch.zeros(1))], BASE)
    schedule, found = torch_schedule(spec, opt), []
    for epoch in range(SCHEDULE_EPOCHS):
        found.append(opt.param_groups[0]["lr"])
        opt.step()
        schedule.step(*[LOSSES[epoch]] if spec["type"] == "ReduceLROnPlateau" else [])
    return found


def make_schedules():
    step = {"type": "StepDecay", "every": 7, "factor": 0.5}
    cosine = {"type": "CosineDecay", "epochs": 30, "min": 1e-4}
    warmup = {"type": "Warmup", "epochs": 5, "start": 0.1}
    plateau = {"type": "ReduceLROnPlateau", "factor": 0.5, "patience": 2, "threshold": 1e-4, "cooldown": 0, "min": 0.0}
    schedules = [
        step,
        {"type": "StepDecay", "every": 1, "factor": 0.9},
        cosine,
        warmup,
        {**warmup, "then": cosine},
        {**warmup, "then": step},
        plateau,
        {**plateau, "patience": 3, "cooldown": 2, "min": 1e-4},
        {**plateau, "factor": 0.1, "patience": 1, "min": 3e-4},
        {**plateau, "threshold": 0.01},
    ]
    return [{**spec, "rates": rates(spec)} for spec in schedules]


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    warnings.filterwarnings("ignore", message="The epoch parameter")  # SequentialLR calls its own step(0)
    data, runs, initial, seen = make_data(), make_runs(), {}, []
    for run in runs:
        x, y, w = data[run["x"]], data[run["y"]], weights_of(run, data)
        net = build(run, x, w)
        if run["initial"] not in initial:
            initial[run["initial"]] = make_initial(net)
        nn.utils.vector_to_parameters(initial[run["initial"]].clone(), net.parameters())
        run.update(result(run, net, x, y, w))
        network = run["layers"], run["loss"]
        if network in seen:
            del run["inputGradient"]
        seen.append(network)

    top = {
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "epochs": EPOCHS,
        "batchSize": BATCH,
        "data": {name: values.tolist() for name, values in data.items()},
        "initial": {name: values.tolist() for name, values in initial.items()},
        "runs": runs,
        "baseRate": BASE,
        "plateauLosses": LOSSES,
        "schedules": make_schedules(),
    }
    Path(__file__).with_suffix(".json").write_text(encode(top) + "\n")


def encode(top):
    """JSON with one line for each run and schedule; Python's floats print so that they read back exactly."""

    def line(value):
        if isinstance(value, list) and isinstance(value[0], dict):
            return "[\n" + ",\n".join(line(v) for v in value) + "\n]"
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    return "{\n" + ",\n".join(f"{json.dumps(key)}:{line(value)}" for key, value in top.items()) + "\n}"


if __name__ == "__main__":
    main()
