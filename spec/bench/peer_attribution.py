#!/usr/bin/env python3
"""Time one explanation by a published package and print one line of JSON; the other side of `attribution.lua`.

    python3 peer_attribution.py TASK MODEL BATCH THREADS REPEATS SIZE STEPS LAYERS SECONDS

TASK     lrp                zennit, EpsilonPlus; batch norms merged, residual sums by its Sum module, as its own
                            canonizers for torchvision's models do
         ig                 captum IntegratedGradients, riemann_middle, STEPS steps, internal_batch_size BATCH
         conductance        captum LayerConductance, the same with 2 BATCH, of LAYERS convolutions spread over the
                            network; the time for all is their mean times the number of convolutions ("extrapolated")
         dlb                dl_backtrace's functions composed layer by layer over a chain (VGG), those that its CPU mode
                            takes; from the classes down until SECONDS have passed ("complete" tells whether it was done)
         attnlrp            lxt's explicit functions composed on the ViT
         attnlrp_efficient  lxt's efficient form (gradient x input with its gradient rules) on the same ViT, with
                            PyTorch's fused attention
         cp_lrp_efficient   lxt.efficient.monkey_patch with its own map for torchvision's ViT: AttnLRP outside
                            attention, CP-LRP inside
MODEL    a name of peer_models.MODELS

The line holds ms_per_image (median over REPEATS after one untimed run; path methods and dlb: one run, no warm-up),
peak_rss_mb, package, and what the task adds; or {"missing": why} where a package cannot be imported.
"""
import importlib
import importlib.metadata
import importlib.util
import json
import math
import pathlib
import statistics
import sys
import time
import types


def fail(kind, error):
    print(json.dumps({kind: f"{type(error).__name__}: {error}".splitlines()[0]}))
    sys.exit(0)


try:
    import torch
    import torch.nn.functional as F
    from torch import nn

    from peer_models import MODELS, BasicBlock, Bottleneck, LayerNorm
    from peer_speed import peak_mb
except ImportError as problem:
    fail("missing", problem)


def build(name, size):
    torch.manual_seed(1)
    options = {}
    if name.startswith("vit"):
        options["size"] = size
    elif name == "vgg19" and size % 32 == 0:
        options["pool"] = size // 32  # so that the adaptive pool changes nothing
    model = MODELS[name](**options).eval()
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    if hasattr(model, "heads"):
        nn.init.normal_(model.heads.head.weight, std=0.02)
    return model


def one_hot(logits):
    return F.one_hot(torch.arange(len(logits)) % logits.shape[1], logits.shape[1]).to(logits)


def timed(run, repeats, batch, warm=True):
    times = []
    for index in range(repeats + warm):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1000 / batch)
    return round(statistics.median(times[warm:]), 3)


# ---- zennit ----

def lrp(model, x, args):
    import zennit.canonizers
    import zennit.composites
    from zennit.attribution import Gradient
    from zennit.layer import Sum

    def joined(self, a, b):
        return self.relu(self.canonizer_sum(torch.stack([a, b], dim=-1)))

    def shortcut(self, x):
        return x if self.downsample is None else self.downsample(x)

    def bottleneck(self, x):
        y = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        return joined(self, shortcut(self, x), self.bn3(self.conv3(y)))

    def basic(self, x):
        return joined(self, shortcut(self, x), self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))

    def blocks(_, module):
        forward = {Bottleneck: bottleneck, BasicBlock: basic}.get(type(module))
        return forward and {"forward": forward.__get__(module), "canonizer_sum": Sum()}

    canonizer = zennit.canonizers.CompositeCanonizer((
        zennit.canonizers.SequentialMergeBatchNorm(), zennit.canonizers.AttributeCanonizer(blocks)))
    composite = zennit.composites.EpsilonPlus(canonizers=[canonizer])

    def run():
        with Gradient(model, composite) as attributor:
            attributor(x, one_hot)
    return {"package": "zennit EpsilonPlus", "ms_per_image": timed(run, args.repeats, len(x))}


# ---- captum ----

def path_options(x, args):
    return {"baselines": torch.zeros_like(x), "target": torch.arange(len(x)) % 1000, "n_steps": args.steps,
            "method": "riemann_middle", "internal_batch_size": len(x)}


def ig(model, x, args):
    from captum.attr import IntegratedGradients
    explainer = IntegratedGradients(model)
    return {"package": "captum IntegratedGradients",
            "ms_per_image": timed(lambda: explainer.attribute(x, **path_options(x, args)), 1, len(x), False)}


def conductance(model, x, args):
    from captum.attr import LayerConductance
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    count = min(args.layers, len(layers))
    chosen = [layers[round(i * (len(layers) - 1) / max(count - 1, 1))] for i in range(count)]
    times = []
    for layer in chosen:
        explainer = LayerConductance(model, layer)
        options = {**path_options(x, args), "internal_batch_size": 2 * len(x)}  # the least that it takes
        times.append(timed(lambda: explainer.attribute(x, **options), 1, len(x), False))
    return {"package": "captum LayerConductance", "ms_per_image": round(statistics.mean(times) * len(layers), 3),
            "extrapolated": count < len(layers), "measured_layers": count, "layers": len(layers)}


# ---- dl_backtrace ----

def functions_of_dlb():
    """The functions of its CPU mode. Its packages import kernels compiled for CUDA; so modules are loaded one by one."""
    spec = importlib.util.find_spec("dl_backtrace")
    if spec is None:
        raise ImportError("No module named 'dl_backtrace'")
    folder = pathlib.Path(spec.submodule_search_locations[0])
    if (folder / "pytorch_backtrace" / "backtrace" / "utils" / "prop.py").exists():
        return first_functions_of_dlb()
    name = "dl_backtrace"
    for part in ("", "pytorch_backtrace", "dlbacktrace", "utils", "cuda_utils"):
        folder, name = folder / part, f"{name}.{part}".rstrip(".")
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(folder)]

    def load(module, function):
        return getattr(importlib.import_module(f"{name}.{module}"), f"calculate_wt_{function}")
    return {"conv": load("Conv2D.refactored_version", "conv"), "fc": load("Linear_v2.original_version", "fc"),
            "maxpool": load("MaxPool2D.refactored_version", "maxpool")}


def first_functions_of_dlb():
    """Those of the versions up to 0.0.25, under the later ones' signatures; they take a sample without its batch."""
    from dl_backtrace.pytorch_backtrace.backtrace.utils import prop

    def conv(r, x, w, b, padding, stride, act):
        return prop.calculate_wt_conv(r[0], x[0], torch.tensor(w), torch.tensor(b), padding, stride, act).T[None]

    def fc(r, x, w, b, act):
        return prop.calculate_wt_fc(r.reshape(-1), x[0], torch.tensor(w), torch.tensor(b), act)

    def maxpool(r, x, kernel, padding, stride):
        return prop.calculate_wt_maxpool(r[0], x[0], kernel, padding[0], stride[0]).T[None]
    return {"conv": conv, "fc": fc, "maxpool": maxpool}


def dlb(model, x, args):
    functions = functions_of_dlb()
    none = {"name": None, "range": {"l": None, "u": None}, "type": "null", "func": None}
    relu = {"name": "relu", "range": {"l": 0, "u": None}, "type": "mono", "func": None}
    layers = [module for module in model.modules() if not list(module.children())]
    x = x[:1]
    values, began = [x], time.perf_counter()
    with torch.inference_mode():
        for layer in layers:
            value = values[-1].flatten(1) if isinstance(layer, nn.Linear) else values[-1]
            values.append(layer(value))
        r, act, done = one_hot(values[-1]).numpy(), none, 0
        for layer, value in reversed(list(zip(layers, values))):
            if time.perf_counter() - began > args.seconds:
                break
            value = value.numpy()
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            if isinstance(layer, nn.Conv2d):
                r = functions["conv"](r, value, w, b, layer.padding, layer.stride, act)
            elif isinstance(layer, nn.Linear):
                r = functions["fc"](r, value.reshape(1, -1), w, b, act).reshape(value.shape)
            elif isinstance(layer, nn.MaxPool2d):
                r = functions["maxpool"](r, value, (2, 2), (0, 0), (2, 2))
            elif isinstance(layer, nn.AdaptiveAvgPool2d):
                assert value.shape == r.shape, "an adaptive pool that changes the map: choose another size"
            act, done = relu if isinstance(layer, nn.ReLU) else none, done + 1
    version = importlib.metadata.version("dl_backtrace")
    return {"package": f"dl_backtrace {version} functions", "ms_per_image": round((time.perf_counter() - began) * 1000, 3),
            "complete": done == len(layers), "done_layers": done, "layers": len(layers)}


# ---- lxt ----

def heads_of(value, heads):
    return value.reshape(*value.shape[:2], heads, -1).transpose(1, 2)


def attnlrp(model, x, args):
    import lxt.explicit.functional as lf

    class Gelu(torch.autograd.Function):
        """GELU with the identity rule."""

        @staticmethod
        def forward(ctx, value):
            return F.gelu(value)

        @staticmethod
        def backward(ctx, relevance):
            return relevance

    def norm(module, value):
        return lf.layer_norm(value, module.weight, module.bias, module.eps)

    def linear(module, value):
        return lf.linear_epsilon(value, module.weight, module.bias)

    def attention(mha, value):
        weights, biases = mha.in_proj_weight.chunk(3), mha.in_proj_bias.chunk(3)
        q, k, v = (heads_of(lf.linear_epsilon(value, w, b), mha.num_heads) for w, b in zip(weights, biases))
        scores = lf.matmul(lf.mul2(q, 1 / math.sqrt(mha.head_dim)), k.transpose(-1, -2))
        context = lf.matmul(lf.softmax(scores, -1), v).transpose(1, 2).flatten(2)
        return linear(mha.out_proj, context)

    def run():
        image, size = x.clone().requires_grad_(), model.conv_proj.kernel_size[0]
        patches = F.unfold(image, size, stride=size).transpose(1, 2)
        tokens = lf.linear_epsilon(patches, model.conv_proj.weight.flatten(1), model.conv_proj.bias)
        tokens = torch.cat([model.class_token.expand(len(x), -1, -1), tokens], 1)
        h = lf.add2(tokens, model.encoder.pos_embedding.expand_as(tokens))
        for block in model.encoder.layers:
            h = lf.add2(attention(block.self_attention, norm(block.ln_1, h)), h)
            h = lf.add2(h, linear(block.mlp[3], Gelu.apply(linear(block.mlp[0], norm(block.ln_2, h)))))
        logits = linear(model.heads.head, norm(model.encoder.ln, h)[:, 0])
        return torch.autograd.grad(logits, image, one_hot(logits))
    model.requires_grad_(False)
    return {"package": "lxt.explicit functions", "ms_per_image": timed(run, args.repeats, len(x))}


def gradient_times_input(model, x):
    image = x.clone().requires_grad_()
    logits = model(image)
    gradient, = torch.autograd.grad(logits, image, one_hot(logits))
    return gradient * image


def import_efficient():
    """lxt.efficient without its module for BERT, which asks for parts that newer transformers have dropped."""
    importlib.import_module("lxt")
    bert = types.ModuleType("lxt.efficient.models.bert")
    bert.modeling_bert, bert.attnLRP = types.ModuleType("modeling_bert"), {}
    sys.modules[bert.__name__] = bert
    return importlib.import_module("lxt.efficient")


def attnlrp_efficient(model, x, args):
    import_efficient()
    from lxt.efficient.patches import layer_norm_forward
    from lxt.efficient.rules import divide_gradient, identity_rule_implicit

    def attention(self, query, *_, **__):
        q, k, v = (heads_of(part, self.num_heads) for part in F.linear(query, self.in_proj_weight,
                                                                       self.in_proj_bias).chunk(3, -1))
        parts = divide_gradient(q, 4), divide_gradient(k, 4), divide_gradient(v, 2)
        context = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        return self.out_proj(context), None

    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            module.forward = attention.__get__(module)
        elif isinstance(module, LayerNorm.func):
            module.forward = layer_norm_forward.__get__(module)
        elif isinstance(module, nn.GELU):
            module.forward = (lambda value: identity_rule_implicit(F.gelu, value))
    model.requires_grad_(False)
    return {"package": "lxt.efficient rules",
            "ms_per_image": timed(lambda: gradient_times_input(model, x), args.repeats, len(x))}


def cp_lrp_efficient(model, x, args):
    efficient = import_efficient()
    from torchvision.models import vision_transformer
    efficient.monkey_patch(vision_transformer)
    model.requires_grad_(False)
    return {"package": "lxt.efficient monkey_patch",
            "ms_per_image": timed(lambda: gradient_times_input(model, x), args.repeats, len(x))}


TASKS = {task.__name__: task for task in (lrp, ig, conductance, dlb, attnlrp, attnlrp_efficient, cp_lrp_efficient)}


def main(argv):
    if len(argv) != 9 or argv[0] not in TASKS or argv[1] not in MODELS or not all(a.isdigit() for a in argv[2:]):
        sys.exit(f"{__doc__}\ntasks: {', '.join(TASKS)}\nmodels: {', '.join(MODELS)}")
    batch, threads, repeats, size, steps, layers, seconds = map(int, argv[2:])
    args = types.SimpleNamespace(repeats=repeats, steps=steps, layers=layers, seconds=seconds)
    torch.set_num_threads(threads)
    try:
        model = build(argv[1], size)
        result = TASKS[argv[0]](model, torch.randn(batch, 3, size, size), args)
    except ImportError as problem:
        fail("missing", problem)
    except Exception as problem:  # whatever a package does, the other rows are still worth having
        fail("failed", problem)
    print(json.dumps({"task": argv[0], "model": argv[1], **result, "peak_rss_mb": round(peak_mb(), 1),
                      "torch": torch.__version__}))


if __name__ == "__main__":
    main(sys.argv[1:])
