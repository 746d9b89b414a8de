#!/usr/bin/env python3
"""PyTorch's side of checkpoints.lua: full-size models of torchvision and timm with random weights, out and back.

    peer_checkpoints.py write FOLDER MODEL   MODEL.safetensors, MODEL.pth; x and logits in MODEL.reference
    peer_checkpoints.py load FOLDER FILE     seconds that reading FILE's tensors takes, bytes that it adds to the peak
    peer_checkpoints.py check FOLDER MODEL   the same model from MODEL.state (strict) and MODEL.onnx: errors in logits

Batch norms get random statistics and ViTs a head that is not zero, so that equal logits mean something.
Needs torch, torchvision, timm, safetensors and, to check, onnx and onnxruntime.
"""
import pathlib
import resource
import sys
import time

import safetensors.torch
import torch

IMAGES = 8


def make(name):
    torch.manual_seed(5)
    if "patch" in name:
        import timm
        net = timm.create_model(name)
    else:
        import torchvision
        net = getattr(torchvision.models, name)()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.2)
            torch.nn.init.normal_(module.bias, std=0.2)
            module.num_batches_tracked.fill_(7)
        if isinstance(module, torch.nn.Linear) and module.bias is not None:
            torch.nn.init.normal_(module.bias, std=0.1)
            if not module.weight.any():
                torch.nn.init.normal_(module.weight, std=0.05)
    for key in ("class_token", "cls_token"):
        if hasattr(net, key):
            torch.nn.init.normal_(getattr(net, key), std=0.1)
    return net.eval()


def error(got, expected):
    return ((got - expected).abs().max() / expected.abs().max()).item()


def write(folder, name):
    net = make(name)
    x = torch.randn(IMAGES, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = net(x)
    state = net.state_dict()
    safetensors.torch.save_file(state, folder / f"{name}.safetensors")
    torch.save(state, folder / f"{name}.pth")
    safetensors.torch.save_file({"x": x, "logits": logits}, folder / f"{name}.reference")


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def load(folder, name):
    path = folder / name
    before, start = peak(), time.perf_counter()
    if path.suffix == ".pth":
        state = torch.load(path, weights_only=True)
    else:  # which only maps the file; so that the numbers are in memory, as with torch.load
        state = {key: tensor.clone() for key, tensor in safetensors.torch.load_file(path).items()}
    seconds = time.perf_counter() - start
    print(f"{seconds:.2f} {(peak() - before) / path.stat().st_size:.3f} {len(state)}")


def check(folder, name):
    reference = safetensors.torch.load_file(folder / f"{name}.reference")
    path = folder / f"{name}.state"
    if path.exists():
        net = make(name)
        for parameter in net.state_dict().values():
            parameter.zero_()
        net.load_state_dict(safetensors.torch.load_file(path), strict=True)
        with torch.no_grad():
            print(f"state {error(net(reference['x']), reference['logits']):.2e}")
    path = folder / f"{name}.onnx"
    if path.exists():
        import onnx
        import onnxruntime
        onnx.checker.check_model(str(path))
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        logits, = session.run(None, {session.get_inputs()[0].name: reference["x"].numpy()})
        print(f"onnx {error(torch.from_numpy(logits), reference['logits']):.2e}")


{"write": write, "load": load, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]), sys.argv[3])
