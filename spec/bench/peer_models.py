"""The reference architectures in plain PyTorch, for comparison with Secateur's own.

Modules carry torchvision's names and initial distributions, so that a state dict of either loads into the other;
torchvision itself is not needed. Sizes are free, as in `sc.models.vgg`, `resnet` and `vit`.
"""
import math
from functools import partial

import torch
from torch import nn


class VGG(nn.Module):
    """Simonyan & Zisserman 2014: 3x3 convolutions and max pools from a list, then linear layers with dropout."""

    def __init__(self, config, hidden=(4096, 4096), pool=7, batch_norm=False, classes=1000, channels=3, dropout=0.5):
        super().__init__()
        layers, width = [], channels
        for entry in config:
            if entry == "M":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(width, entry, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(entry))
            layers.append(nn.ReLU(inplace=True))
            width = entry
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        head, width = [], width * pool * pool
        for units in hidden:
            head += [nn.Linear(width, units), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            width = units
        self.classifier = nn.Sequential(*head, nn.Linear(width, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2015)."""

    expansion = 1

    def __init__(self, width, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(width, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = shortcut(width, planes * self.expansion, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut; the stride sits on the 3x3, as torchvision has it."""

    expansion = 4

    def __init__(self, width, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(width, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(width, planes * self.expansion, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def shortcut(width, planes, stride):
    if stride == 1 and width == planes:
        return None
    return nn.Sequential(nn.Conv2d(width, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))


class ResNet(nn.Module):
    """He et al. 2015: a 7x7 stem with stride 2 and a max pool, then stages `layer1`, `layer2`, …"""

    def __init__(self, block, blocks, planes=(64, 128, 256, 512), stem=64, classes=1000, channels=3):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages, width = len(blocks), stem
        for stage, (count, features) in enumerate(zip(blocks, planes), 1):
            layers = []
            for index in range(count):
                layers.append(block(width, features, 2 if stage > 1 and index == 0 else 1))
                width = features * block.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(self.avgpool(x).flatten(1))


LayerNorm = partial(nn.LayerNorm, eps=1e-6)


class EncoderBlock(nn.Module):
    """Pre-norm self-attention and MLP, each added to its input."""

    def __init__(self, dim, heads, mlp):
        super().__init__()
        self.ln_1 = LayerNorm(dim)
        self.self_attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ln_2 = LayerNorm(dim)
        # The dropouts are inert; they hold torchvision's places 2 and 4.
        self.mlp = nn.Sequential(nn.Linear(dim, mlp), nn.GELU(), nn.Dropout(0.0), nn.Linear(mlp, dim), nn.Dropout(0.0))
        for layer in (self.mlp[0], self.mlp[3]):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    def __init__(self, tokens, layers, dim, heads, mlp):
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, tokens, dim).normal_(std=0.02))
        self.layers = nn.Sequential()
        for index in range(layers):
            self.layers.add_module(f"encoder_layer_{index}", EncoderBlock(dim, heads, mlp))
        self.ln = LayerNorm(dim)

    def forward(self, x):
        return self.ln(self.layers(x + self.pos_embedding))


class ViT(nn.Module):
    """Dosovitskiy et al. 2020: patches and a class token through a transformer encoder."""

    def __init__(self, size=224, patch=16, layers=12, heads=12, dim=768, mlp=3072, classes=1000, channels=3):
        super().__init__()
        self.conv_proj = nn.Conv2d(channels, dim, patch, stride=patch)
        nn.init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / (channels * patch * patch)))
        nn.init.zeros_(self.conv_proj.bias)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.encoder = Encoder((size // patch) ** 2 + 1, layers, dim, heads, mlp)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(dim, classes))
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def forward(self, x):
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        return self.heads(self.encoder(tokens)[:, 0])


VGG19 = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M")

MODELS = {
    "vgg19": partial(VGG, VGG19),
    "resnet50": partial(ResNet, Bottleneck, (3, 4, 6, 3)),
    "vit_b_16": ViT,
    # Small ones for 64x64 images, on which a recipe can be compared in minutes.
    "vgg_small": partial(VGG, (16, 16, "M", 32, 32, "M", 64, 64, "M", 128, 128, "M"),
                         hidden=(128,), pool=2, batch_norm=True),
    "resnet_small": partial(ResNet, BasicBlock, (2, 2, 2), planes=(32, 64, 128), stem=32),
    "vit_small": partial(ViT, size=64, patch=8, layers=4, heads=4, dim=96, mlp=192),
}
