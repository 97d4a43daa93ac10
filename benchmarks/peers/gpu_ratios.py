#!/usr/bin/env python3
"""gpu_ratios.py LATENCY.json PEERS.jsonl …: our times on a GPU over PyTorch's better variant, and the bars on them.

LATENCY.json: of bench_subnets; PEERS.jsonl: of torch_gpu.py. Medians in milliseconds; batch 1 wants 0.5 at most, more 0.7, ResNet-50D
0.7 always: libraries have multiplied dense convolutions well for long.
"""
import json
import sys


def main():
    with open(sys.argv[1]) as file:
        rows = json.load(file)["benchmarks"]
    ours = {}
    for row in rows:
        _, net, precision, batch, *_ = row["name"].split("/")
        ours[net, precision.removeprefix("cuda_"), int(batch.removeprefix("batch:"))] = row.get("median_ms")
    theirs = {}
    for name in sys.argv[2:]:
        for line in open(name):
            row = json.loads(line)
            key = row["net"], row["precision"], row["batch"]
            variant = row["variant"].split(",")[0]
            at = theirs.setdefault(key, {})
            at[variant] = min(at.get(variant, row["median_ms"]), row["median_ms"])
    failed = 0
    print("net         precision batch    graph  compile     ours  ratio")
    for (net, precision, batch), times in sorted(theirs.items(), key=lambda item: (item[0][1:], item[0][0])):
        mine = ours.get((net, precision, batch))
        if mine is None:
            continue
        ratio = mine / min(times.values())
        failed += ratio > (0.5 if batch == 1 and not net.startswith("resnet") else 0.7)
        columns = "".join(f"{times[v]:9.3f}" if v in times else "        -" for v in ("graph", "compile"))
        print(f"{net:11} {precision:9} {batch:5}{columns}{mine:9.3f}  {ratio:5.3f}")
    print(f"{failed} of {len(theirs)} above the bar")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
