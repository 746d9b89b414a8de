#!/usr/bin/env python3
"""Time training steps in PyTorch and print milliseconds; the other side of `training.lua`.

    python3 peer_training.py step MODEL all|head BATCH THREADS REPEATS      a step of Adam on a batch
    python3 peer_training.py optimise MODEL adam|adamw|sgd BATCH THREADS REPEATS   the optimiser alone

MODEL is a name of torchvision. With `head` all but the last layer is frozen, and norms are in evaluation mode.
"""
import statistics
import sys
import time

import torch
import torchvision


def optimiser_of(kind, parameters):
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, weight_decay=0.01)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind](parameters, lr=1e-3, weight_decay=0.01)


def step(model, which, batch):
    if which == "head":
        model.eval().requires_grad_(False)
        list(model.modules())[-1].requires_grad_(True)
    optimiser = optimiser_of("adam", [p for p in model.parameters() if p.requires_grad])
    images, labels = torch.randn(batch, 3, 224, 224), torch.randint(1000, (batch,))

    def work():
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimiser.step()
    return work


def optimise(model, kind, _):
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return optimiser_of(kind, list(model.parameters())).step


def main():
    what, name, which, batch, threads, repeats = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    model = torchvision.models.get_model(name).train()
    work, times = {"step": step, "optimise": optimise}[what](model, which, int(batch)), []
    work()
    for _ in range(int(repeats)):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    print(f"{statistics.median(times):.3f}")


if __name__ == "__main__":
    main()
