"""Goes on training a network of the digits from Go, on all processes that torchrun starts, on one machine or several.

go run ./examples/pytorch make net.safetensors net.json
torchrun --standalone --nproc_per_node=2 examples/pytorch/distributed.py net.safetensors trained.safetensors
"""

import csv
import gzip
import pathlib
import sys

import torch
import torch.distributed as dist
from torch import nn

import backprop

BATCH, EPOCHS = 32, 3  # samples of a step, over all processes together
DIGITS = pathlib.Path(__file__).parent.parent / "internal" / "digits" / "digits.csv.gz"


def main(source, target):
    dist.init_process_group("gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    if BATCH % processes:
        sys.exit(f"{processes} processes cannot share batches of {BATCH} in equal parts, whose mean gradient is the batch's")
    model = backprop.load(source, logits=True)
    train_mode(model)
    parallel = nn.parallel.DistributedDataParallel(model)  # averages the processes' gradients in backward
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = digits()
    order = torch.Generator().manual_seed(0)  # the same in all processes
    torch.manual_seed(rank)  # for Dropout, which is to differ
    for epoch in range(EPOCHS):
        losses = []
        for batch in torch.randperm(len(x), generator=order).split(BATCH):
            if len(batch) < BATCH:
                break  # the last one cannot be shared
            part = batch[rank::processes]
            loss = nn.functional.cross_entropy(parallel(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        mean = torch.stack(losses).mean() / processes
        dist.all_reduce(mean)  # the sum over the processes
        if rank == 0:
            print(f"epoch {epoch}: loss {mean:.4f}")
    if rank == 0:
        backprop.save(model, target)


def train_mode(model):
    """BatchNorm stays in eval mode: a process would take the statistics of its part alone, and SyncBatchNorm needs GPUs."""
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()


def digits():
    with gzip.open(DIGITS, "rt") as f:
        table = torch.tensor([[int(cell) for cell in row] for row in csv.reader(f)])
    return table[:, :64].double(), table[:, 64]


if __name__ == "__main__":
    main(*sys.argv[1:])
