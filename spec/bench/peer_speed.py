#!/usr/bin/env python3
"""Time one model in one runtime and print one line of JSON; the other side of `speed.lua`.

    python3 peer_speed.py RUNTIME MODEL MODE BATCH THREADS BATCHES SECONDS [ONNX]
    python3 peer_speed.py versions

RUNTIME  torch                eager PyTorch, default layout (NCHW)
         torch_channels_last  the same with weights and images in channels_last (NHWC)
         onnxruntime          ONNX Runtime's CPU provider, all graph optimisations
         openvino             OpenVINO's CPU device, hint LATENCY: one request on all threads
         openvino_throughput  hint THROUGHPUT: the batch in equal parts, one request and one thread for each
MODEL    a name of peer_models.MODELS: resnet50, vgg19, vit_b_16, … (ONNX runtimes take the file, whatever its name)
MODE     forward: evaluation mode, no gradients recorded;
         train: training mode, forward, cross entropy, backward to every parameter, no optimiser; torch alone
BATCH    images in a batch
THREADS  threads within an operation; operations run one after another
BATCHES  least number of timed batches
SECONDS  least time that the timed batches take together; one or two untimed ones come before
ONNX     the model file, for onnxruntime and openvino

The line holds the arguments and
    ms_per_image   the median over the timed batches; ms_per_image_min and _max beside it
    peak_rss_mb    the process's largest resident memory, in MiB
    start_rss_mb   the same before the model was built: what Python and the runtime alone take
    version        of the runtime
`versions` prints the version of each runtime's package that is installed.

One process measures one thing, or the peak would be the largest of several; so each runtime is imported only where it is
measured. Arithmetic is float32 throughout: reduced precision is switched off where a runtime would choose it by itself.
Images are random, 3 x 224 x 224 (64 x 64 for the small models).
"""
import importlib.metadata
import importlib.util
import json
import resource
import statistics
import sys
import time
import types

PACKAGES = ("torch", "onnxruntime", "openvino")


def peak_mb():
    """Peak resident memory. Linux hands ru_maxrss down through exec, so a large parent would show: prefer VmHWM."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def image_size(name):
    return 64 if name.endswith("_small") else 224


# Each runtime: a function of the arguments that imports it, notes start_mb, and gives a function that runs one batch.

def torch_step(args, channels_last=False):
    import torch

    from peer_models import MODELS

    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.set_float32_matmul_precision("highest")
    torch.manual_seed(1)
    args.start_mb = peak_mb()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = MODELS[args.model]().train(args.mode == "train").to(memory_format=layout)
    images = torch.randn(args.batch, 3, args.size, args.size).to(memory_format=layout)
    labels = torch.randint(1000, (args.batch,))

    def forward():
        with torch.inference_mode():
            model(images)

    def train():
        model.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(images), labels).backward()
    return {"forward": forward, "train": train}[args.mode]


def onnxruntime_step(args):
    import numpy
    import onnxruntime

    args.start_mb = peak_mb()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("batch", args.batch)  # shapes known: more can be folded
    session = onnxruntime.InferenceSession(args.onnx, options, providers=["CPUExecutionProvider"])
    images = random_images(numpy, args)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: images})


def openvino_step(args, throughput=False):
    import numpy
    import openvino

    args.start_mb = peak_mb()
    parts = 1
    settings = {"INFERENCE_NUM_THREADS": args.threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if throughput:
        parts = max(n for n in range(1, args.threads + 1) if args.batch % n == 0)
        settings.update(PERFORMANCE_HINT="THROUGHPUT", NUM_STREAMS=str(parts))
    core = openvino.Core()
    model = core.read_model(args.onnx)
    model.reshape([args.batch // parts, 3, args.size, args.size])
    compiled = core.compile_model(model, "CPU", settings)
    del model
    requests = [compiled.create_infer_request() for _ in range(parts)]
    for request, images in zip(requests, numpy.split(random_images(numpy, args), parts)):
        request.set_input_tensor(openvino.Tensor(images))

    def run():
        for request in requests:
            request.start_async()
        for request in requests:
            request.wait()
    return run


def random_images(numpy, args):
    return numpy.random.default_rng(1).standard_normal((args.batch, 3, args.size, args.size), dtype=numpy.float32)


RUNTIMES = {
    "torch": torch_step,
    "torch_channels_last": lambda args: torch_step(args, channels_last=True),
    "onnxruntime": onnxruntime_step,
    "openvino": openvino_step,
    "openvino_throughput": lambda args: openvino_step(args, throughput=True),
}


def time_step(step, batches, seconds):
    """Seconds of each timed run. Short steps are warmed up twice: the first touches memory, the second wakes threads."""
    began = time.perf_counter()
    step()
    if time.perf_counter() - began < seconds:
        step()
    times = []
    while len(times) < batches or sum(times) < seconds:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return times


def package_of(runtime):
    return next(package for package in PACKAGES if runtime.startswith(package))


def measure(runtime, args):
    step = RUNTIMES[runtime](args)
    times = [seconds * 1000 / args.batch for seconds in time_step(step, args.batches, args.seconds)]
    return {
        "runtime": runtime, "model": args.model, "mode": args.mode, "batch": args.batch, "threads": args.threads,
        "batches": len(times), "size": args.size, "ms_per_image": round(statistics.median(times), 3),
        "ms_per_image_min": round(min(times), 3), "ms_per_image_max": round(max(times), 3),
        "peak_rss_mb": round(peak_mb(), 1), "start_rss_mb": round(args.start_mb, 1),
        "version": importlib.metadata.version(package_of(runtime)),
    }


def versions():
    return {name: importlib.metadata.version(name) for name in PACKAGES if importlib.util.find_spec(name)}


def parse(argv):
    runtime, model, mode = argv[:3]
    batch, threads, batches = map(int, argv[3:6])
    onnx = argv[7] if len(argv) == 8 else None
    is_torch = runtime.startswith("torch")
    if runtime not in RUNTIMES or mode not in (("forward", "train") if is_torch else ("forward",)):
        raise ValueError(f"no runtime '{runtime}' with mode '{mode}'")
    if min(batch, threads, batches) < 1 or len(argv) > 8 or bool(onnx) == is_torch:
        raise ValueError("expected positive counts, and a file for ONNX runtimes alone")
    return runtime, types.SimpleNamespace(model=model, mode=mode, batch=batch, threads=threads, batches=batches,
                                          seconds=float(argv[6]), onnx=onnx, size=image_size(model))


def main(argv):
    if argv == ["versions"]:
        print(json.dumps(versions()))
        return
    try:
        runtime, args = parse(argv)
    except (ValueError, IndexError) as problem:
        sys.exit(f"{__doc__}\n{problem}")
    print(json.dumps(measure(runtime, args)))


if __name__ == "__main__":
    main(sys.argv[1:])
