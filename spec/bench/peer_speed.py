#!/usr/bin/env python3
"""Time one reference model in PyTorch and print one line of JSON; the other side of `speed.lua`.

    python3 peer_speed.py MODEL [BATCH [THREADS [MODE [REPEATS]]]]

MODEL    a name of peer_models.MODELS: resnet50, vgg19, vit_b_16, …
BATCH    images in a batch (16)
THREADS  threads for torch (2)
MODE     forward: evaluation mode, no gradients recorded;
         train: training mode, forward, cross entropy, backward to every parameter, no optimiser (forward)
REPEATS  timed batches (5), after one untimed one

The line holds the arguments and
    ms_per_image   the median over the repeats; ms_per_image_min and _max beside it
    peak_rss_mb    the process's largest resident memory, in MiB
    start_rss_mb   the same before the model was built: what Python and torch alone take
    parameters, torch

One process measures one thing, or the peak would be the largest of several.
Images are random, 3 x 224 x 224 (64 x 64 for the small models), float32.
"""
import json
import resource
import statistics
import sys
import time

import torch

from peer_models import MODELS


def peak_mb():
    """Peak resident memory. Linux hands ru_maxrss down through exec, so a large parent would show: prefer VmHWM."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def forward(model, images, _):
    with torch.inference_mode():
        model(images)


def train(model, images, labels):
    model.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(model(images), labels).backward()


def measure(name, batch, threads, mode, repeats):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    start_mb = peak_mb()
    size = 64 if name.endswith("_small") else 224
    model = MODELS[name]().train(mode == "train")
    images, labels = torch.randn(batch, 3, size, size), torch.randint(1000, (batch,))
    step, times = {"forward": forward, "train": train}[mode], []
    for _ in range(1 + repeats):
        began = time.perf_counter()
        step(model, images, labels)
        times.append((time.perf_counter() - began) * 1000 / batch)
    times = times[1:]
    return {
        "model": name, "batch": batch, "threads": threads, "mode": mode, "repeats": repeats, "size": size,
        "ms_per_image": round(statistics.median(times), 3),
        "ms_per_image_min": round(min(times), 3), "ms_per_image_max": round(max(times), 3),
        "peak_rss_mb": round(peak_mb(), 1), "start_rss_mb": round(start_mb, 1),
        "parameters": sum(p.numel() for p in model.parameters()), "torch": torch.__version__,
    }


def main(argv):
    name, batch, threads, mode, repeats = (argv + ["", "16", "2", "forward", "5"][len(argv):])[:5]
    counts = (batch, threads, repeats)
    if (len(argv) > 5 or name not in MODELS or mode not in ("forward", "train")
            or not all(count.isdigit() and int(count) > 0 for count in counts)):
        sys.exit(f"{__doc__}\nmodels: {', '.join(MODELS)}")
    print(json.dumps(measure(name, int(batch), int(threads), mode, int(repeats))))


if __name__ == "__main__":
    main(sys.argv[1:])
