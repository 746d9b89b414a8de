"""Checks what spec/bench/export.lua wrote: peer_export.py FOLDER."""
import json
import sys

import numpy
import onnx
import onnxruntime
from safetensors.numpy import load_file

LIMIT = 1e-4


def gap(found, expected):
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(numpy.abs(found - expected).max() / numpy.abs(expected).max())


def run_onnx(stem, data):
    onnx.checker.check_model(stem + ".onnx", full_check=True)
    session = onnxruntime.InferenceSession(stem + ".onnx", providers=["CPUExecutionProvider"])
    (given,), (wanted,) = session.get_inputs(), session.get_outputs()
    return max(gap(session.run([wanted.name], {given.name: data[f"x{n}"]})[0], data[f"y{n}"]) for n in (1, 3, 8))


def run_torch(stem, data, name):
    import torch
    import torchvision
    from safetensors.torch import load_file as load_state

    model = getattr(torchvision.models, name)(num_classes=10).eval()
    model.load_state_dict(load_state(stem + ".state"), strict=True)
    with torch.no_grad():
        return max(gap(model(torch.from_numpy(data[f"x{n}"])).numpy(), data[f"y{n}"]) for n in (1, 3, 8))


def main(folder):
    worst = 0
    for job in json.load(open(folder + "/jobs.json")):
        data = load_file(job["stem"] + ".data")
        errors = {"onnxruntime": run_onnx(job["stem"], data)}
        if job.get("class"):
            errors["torchvision"] = run_torch(job["stem"], data, job["class"])
        print(f"{job['name']:20}", "  ".join(f"{name} {error:.1e}" for name, error in errors.items()), flush=True)
        worst = max(worst, *errors.values())
    print(f"largest error / largest logit: {worst:.1e}, at most {LIMIT} allowed")
    sys.exit(not worst <= LIMIT)


main(sys.argv[1])
