"""Torch-Pruning's side of torch_pruning.lua.

    peer_torch_pruning.py FAMILY STATE IMAGES IMPORTANCE THREADS SHARE...

STATE is a state dict and IMAGES holds test_x, test_y, train_x, train_y, both safetensors. For each SHARE of the dense
model's multiply-adds the smallest pruning ratio that gets there is looked for by bisection, each time from the dense
model; importance ("magnitude", "taylor"; with "_global" ranked over all groups)
and coupling are Torch-Pruning's own. Prints JSON: `dense`, the accuracy before, and `rows` with
`accuracy`, `balanced`, `macs` (the share) and `ratio`.
"""
import copy
import json
import sys

import torch
import torch_pruning as tp
from peer_models import BasicBlock, ResNet, ViT, VGG
from safetensors.torch import load_file
from torch import nn

STEPS = 9


def build(family, state, size):
    def rows(name):
        return len(state[name])

    if family == "vgg":
        config = (16, 16, "M", 32, 32, "M", 64, 64, "M", 128, 128, "M")
        return VGG(config, hidden=(128,), pool=2, batch_norm=True, classes=rows("classifier.3.weight"), channels=1)
    if family == "resnet":
        return ResNet(BasicBlock, (2, 2, 2), planes=(32, 64, 96), stem=32, classes=rows("fc.weight"), channels=1)
    return ViT(size=size, patch=size // 8, layers=4, heads=4, dim=96, mlp=192, classes=rows("heads.head.weight"),
               channels=1)


def head_of(model):
    """The layer whose outputs are the classes, which stays."""
    return [module for module in model.modules() if isinstance(module, nn.Linear)][-1]


def importance_of(name):
    if name.startswith("magnitude"):
        return tp.importance.GroupMagnitudeImportance(p=2)
    return tp.importance.GroupTaylorImportance()


def pruned(dense, images, name, ratio):
    model, example = copy.deepcopy(dense), images["train_x"][:1]
    # A width stays a multiple of the heads, as in Torch-Pruning's own example for these transformers; told the heads
    # by `num_heads`, it would leave the stream as wide as it is.
    heads = [m.num_heads for m in model.modules() if isinstance(m, nn.MultiheadAttention)]
    unwrapped = [(p, p.ndim - 1) for n, p in model.named_parameters() if n.endswith(("class_token", "pos_embedding"))]
    pruner = tp.pruner.BasePruner(model, example, importance=importance_of(name), pruning_ratio=ratio,
                                  global_pruning=name.endswith("_global"), ignored_layers=[head_of(model)],
                                  round_to=heads[0] if heads else None, unwrapped_parameters=unwrapped or None)
    if name.startswith("taylor"):
        model.zero_grad()
        nn.functional.cross_entropy(model(images["train_x"]), images["train_y"]).backward()
    pruner.step()
    model.zero_grad()
    return model


def macs_of(model, images):
    return tp.utils.count_ops_and_params(model, images["train_x"][:1])[0]


def measure(model, images):
    with torch.no_grad():
        decisions = model(images["test_x"]).argmax(1)
    right = decisions == images["test_y"]
    classes = images["test_y"].unique()
    balanced = sum(right[images["test_y"] == c].float().mean().item() for c in classes) / len(classes)
    return right.float().mean().item(), balanced


def at_share(dense, images, name, share):
    """The model with at most that share of the multiply-adds, at the least ratio."""
    whole, low, high, best = macs_of(dense, images), 0.0, 1.0, None
    for _ in range(STEPS):
        ratio = (low + high) / 2
        model = pruned(dense, images, name, ratio)
        left = macs_of(model, images) / whole
        if left <= share:
            high, best = ratio, (model, left, ratio)
        else:
            low = ratio
    if best is None:
        return {"failed": f"more than {share:.3f} of the MACs left at every ratio"}
    accuracy, balanced = measure(best[0], images)
    return {"accuracy": accuracy, "balanced": balanced, "macs": best[1], "ratio": best[2]}


def main(family, state_path, image_path, name, threads, *shares):
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    images, state = load_file(image_path), load_file(state_path)
    for key in ("test_y", "train_y"):
        images[key] = images[key].long() - 1
    model = build(family, state, images["test_x"].shape[-1]).eval()
    model.load_state_dict(state, strict=False)
    missing = [key for key in model.state_dict() if key not in state and not key.endswith("num_batches_tracked")]
    assert not missing, missing
    rows = [at_share(model, images, name, float(share)) for share in shares]
    print(json.dumps({"dense": measure(model, images)[0], "rows": rows}))


main(*sys.argv[1:])
