#!/usr/bin/env python3
"""Trains a ResNet-18 on random images until it is killed: other work for a GPU (tests/gpu_hold_check.cpp).

Prints `ready` after the first steps. torch_train.py [BATCH]
"""
import sys

import torch
from torch import nn


def block(n_in, n_out, stride):
    body = nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True),
        nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out))
    short = nn.Identity() if n_in == n_out else nn.Sequential(
        nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
    return body, short


class Residual(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.body, self.short = block(n_in, n_out, stride)

    def forward(self, x):
        return nn.functional.relu(self.body(x) + self.short(x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    width = 64
    for out in (64, 128, 256, 512):
        layers += [Residual(width, out, 1 if out == 64 else 2), Residual(out, out, 1)]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def main():
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    model = resnet18().cuda().train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    images, labels = torch.randn(batch, 3, 224, 224, device="cuda"), torch.randint(1000, (batch,), device="cuda")
    step = 0
    while True:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        torch.cuda.synchronize()
        step += 1
        if step == 10:
            print("ready", flush=True)


if __name__ == "__main__":
    main()
