#!/usr/bin/env python3
"""PyTorch's time for the sub-networks of bench_subnets on a GPU, beside which the CUDA backend's rows stand.

    gpu_figures networks > networks.json                       # blocks and shapes, from paper_networks.hpp
    torch_gpu.py networks.json --out peers.jsonl [--only gpu0,gpu1] [--batches 1,64] [--fp32-batches 1]
                               [--precisions fp16,fp32] [--no-compile]

One JSON line per measurement. Batch norm is folded into the convolutions and dropout left out, as a deployed network would
have it; fp32 runs with TF32 off, the accuracy of our fp32 rows; weights are random, on which speed does not depend. Two
variants: `graph`, the modules captured as a CUDA graph (memory format `channels_last` or `contiguous`, both measured), and
`compile`, torch.compile(mode="reduce-overhead"). Times are device times by events over groups of replays, the same way as
our rows, the image lying on the device.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch
from torch import nn

ACTIVATIONS = {"identity": nn.Identity, "relu": nn.ReLU, "h_swish": nn.Hardswish, "relu6": nn.ReLU6}


def conv(n_in, n_out, kernel=1, stride=1, groups=1, act="identity", bias=True):
    layer = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=bias)
    return nn.Sequential(layer, ACTIVATIONS[act]())


class SqueezeExcite(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        gates = self.expand(nn.functional.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * nn.functional.hardsigmoid(gates)


class Block(nn.Module):
    def __init__(self, b):
        super().__init__()
        mid, layers = b["mid_channels"], []
        if b["kind"] == "inverted_residual":
            layers.append(conv(b["in_channels"], mid, act=b["act"]))
        layers.append(conv(mid, mid, b["kernel"], b["stride"], mid, b["act"]))
        if b["se_channels"]:
            layers.append(SqueezeExcite(mid, b["se_channels"]))
        layers.append(conv(mid, b["out_channels"]))
        self.layers, self.residual = nn.Sequential(*layers), b["residual"]

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class Convolution(nn.Module):
    def __init__(self, b):
        super().__init__()
        self.layer = conv(b["in_channels"], b["out_channels"], b["kernel"], b["stride"], act=b["act"])
        self.residual = b["residual"]

    def forward(self, x):
        return x + self.layer(x) if self.residual else self.layer(x)


class Bottleneck(nn.Module):
    def __init__(self, b):
        super().__init__()
        mid, stride = b["mid_channels"], b["stride"]
        self.layers = nn.Sequential(
            conv(b["in_channels"], mid, act=b["act"]),
            conv(mid, mid, b["kernel"], stride, act=b["act"]),
            conv(mid, b["out_channels"]),
        )
        average = [nn.AvgPool2d(stride, stride, ceil_mode=True)] if stride > 1 else []
        projected = nn.Sequential(*average, conv(b["in_channels"], b["out_channels"]))
        self.shortcut = nn.Identity() if b["residual"] else projected
        self.act = ACTIVATIONS[b["out_act"]]()

    def forward(self, x):
        return self.act(self.layers(x) + self.shortcut(x))


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


def layers_of(b):
    kind, n_in, n_out = b["kind"], b["in_channels"], b["out_channels"]
    if kind == "max_pool":
        return [nn.MaxPool2d(3, 2, 1)]
    if kind == "average_pool":
        return [Mean()]
    if kind == "final_expand":
        return [conv(n_in, n_out, act=b["act"]), Mean()]
    if kind == "feature_mix":
        return [conv(n_in, n_out, act=b["act"], bias=False)]
    if kind == "classifier":
        return [nn.Flatten(), nn.Linear(n_in, n_out)]
    return [{"stem": Convolution, "convolution": Convolution, "bottleneck": Bottleneck}.get(kind, Block)(b)]


def network(blocks):
    return nn.Sequential(*[layer for b in blocks for layer in layers_of(b)]).eval()


def device_ms(run, repeats):
    """Median and least of 30 groups of replays, per replay, after a second that brings the clock up."""
    begin = time.time()
    while time.time() - begin < 1:
        for _ in range(repeats):
            run()
        torch.cuda.synchronize()
    times = []
    for _ in range(30):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(repeats):
            run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / repeats)
    return {"median_ms": round(statistics.median(times), 5), "min_ms": round(min(times), 5)}


def cuda_graph(model, image):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(5):
            model(image)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        model(image)
    return graph.replay


def variant(net, precision, batch, layout):
    dtype = torch.float16 if precision == "fp16" else torch.float32
    to = {"device": "cuda", "dtype": dtype, "memory_format": layout}
    image = torch.randn(batch, 3, net["r"], net["r"], device="cuda").to(**to)
    return network(net["blocks"]).to(**to), image


def compiled(net, precision, batch):
    torch._dynamo.reset()
    model, image = variant(net, precision, batch, torch.channels_last)
    run = torch.compile(model, mode="reduce-overhead")
    begin = time.time()
    for _ in range(3):
        run(image)
    torch.cuda.synchronize()
    return (lambda: run(image)), time.time() - begin


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("networks")
    parser.add_argument("--only", default="", help="networks whose name starts with one of these, separated by commas")
    parser.add_argument("--batches", default="1,64")
    parser.add_argument("--fp32-batches", help="of the fp32 rows, if others than --batches")
    parser.add_argument("--precisions", default="fp16,fp32")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--out", help="file for the JSON lines; default: the terminal")
    parser.add_argument("--compile-only", help="NAME,PRECISION,BATCH: fills the shared cache and ends")
    return parser.parse_args()


def compile_in_parallel(nets, batches, options):
    """Fills inductor's cache by one process per variant; the measuring process then finds all code made."""
    def command(net, precision, batch):
        return [sys.executable, __file__, options.networks, "--compile-only", f"{net['name']},{precision},{batch}"]

    environment = dict(os.environ, TORCHINDUCTOR_COMPILE_THREADS="1")
    wanted = [command(n, p, b) for n in nets for p in batches for b in batches[p]]
    running = []
    for one in wanted:
        while len([p for p in running if p.poll() is None]) >= os.cpu_count():
            time.sleep(0.1)
        running.append(subprocess.Popen(one, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    for process in running:
        process.wait()


@torch.inference_mode()
def main():
    options = arguments()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    with open(options.networks) as file:
        nets = [n for n in json.load(file)["networks"] if n["name"].startswith(tuple(options.only.split(",")))]
    if options.compile_only:
        name, precision, batch = options.compile_only.split(",")
        compiled(next(n for n in nets if n["name"] == name), precision, int(batch))
        return
    batches = {"fp16": options.batches, "fp32": options.fp32_batches or options.batches}
    batches = {precision: [int(b) for b in batches[precision].split(",")] for precision in options.precisions.split(",")}
    if not options.no_compile:
        compile_in_parallel(nets, batches, options)

    out = open(options.out, "w") if options.out else sys.stdout

    def report(net, precision, batch, what, **values):
        row = {"net": net["name"], "precision": precision, "batch": batch, "variant": what, **values}
        row.update(device=torch.cuda.get_device_name(), torch=torch.__version__)
        print(json.dumps(row), file=out, flush=True)

    for net in nets:
        for precision in batches:
            for batch in batches[precision]:
                repeats = 20 if batch < 8 else 5
                layouts = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
                for layout in layouts if batch == 1 else ["channels_last"]:
                    replay = cuda_graph(*variant(net, precision, batch, layouts[layout]))
                    report(net, precision, batch, f"graph, {layout}", **device_ms(replay, repeats))
                if options.no_compile:
                    continue
                run, seconds = compiled(net, precision, batch)
                report(net, precision, batch, "compile", **device_ms(run, repeats), compile_s=round(seconds, 1))


if __name__ == "__main__":
    main()
