#!/usr/bin/env python3
"""Train in PyTorch what `multi_label.lua` trains, and print losses, AUROCs and seconds as JSON.

    python3 peer_multi_label.py TASK.safetensors EPOCHS BATCH

The task has weight/<parameter>, {train,val,test}/{images,targets} and order/<epoch> (sample numbers from 1).
"""
import json
import sys
import time

import torch
from safetensors.torch import load_file
from torch import nn


def network(weights):
    """The VGG of these weights: a norm behind every convolution, a pool behind every activation."""
    layers, channels = nn.Sequential(), 1
    while f"features.{len(layers)}.weight" in weights:
        out = weights[f"features.{len(layers)}.weight"].shape[0]
        for layer in (nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)):
            layers.append(layer)
        channels = out
    hidden, inputs = weights["classifier.0.weight"].shape
    findings = weights["classifier.3.weight"].shape[0]
    model = nn.Sequential()
    model.add_module("features", layers)
    model.add_module("avgpool", nn.AdaptiveAvgPool2d(2))
    model.add_module("flatten", nn.Flatten())
    model.add_module("classifier", nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0),
                                                 nn.Linear(hidden, findings)))
    model.load_state_dict(weights, strict=True)
    return model


def auroc(scores, targets):
    """Area under the ROC curve: pairs of a positive and a negative in the right order, ties counting half."""
    difference = scores[targets > 0.5][:, None] - scores[targets < 0.5][None]
    return ((difference > 0).double() + (difference == 0).double() / 2).mean().item()


def areas(logits, targets):
    return [auroc(logits[:, k], targets[:, k]) for k in range(targets.shape[1])]


def main():
    path, epochs, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    task = load_file(path)
    model = network({name[7:]: value for name, value in task.items() if name.startswith("weight/")})
    images, targets = task["train/images"], task["train/targets"]
    positives = targets.sum(0)
    criterion = nn.BCEWithLogitsLoss(pos_weight=(len(targets) - positives) / positives)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    result, start = {"losses": [], "train_loss": [], "val_auroc": []}, time.perf_counter()
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0
        for indices in (task[f"order/{epoch}"] - 1).split(batch):
            optimiser.zero_grad()
            loss = criterion(model(images[indices]), targets[indices])
            loss.backward()
            optimiser.step()
            result["losses"].append(loss.item())
            total += loss.item() * len(indices)
        result["train_loss"].append(total / len(targets))
        with torch.no_grad():
            logits = model.eval()(task["val/images"])
            result["losses"].append(criterion(logits, task["val/targets"]).item())
            result["val_auroc"].append(sum(areas(logits, task["val/targets"])) / targets.shape[1])
    result["seconds"] = time.perf_counter() - start
    with torch.no_grad():
        result["test_auroc"] = areas(model(task["test/images"]), task["test/targets"])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
