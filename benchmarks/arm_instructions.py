#!/usr/bin/env python3
"""arm_instructions.py PAGE: instructions that an image takes on 64-bit ARM, counted in an emulator, per number format.

arm_instructions.cpp is compiled for ARM and runs one image of each network between two marks. qemu tells which blocks of
instructions it executes; the program's disassembly says which of them touch a vector register. The table goes into PAGE between the
marks of `arm`. Python, of the standard library alone, for what is a loop over a trace.
"""
import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import marked_page

SOURCE = pathlib.Path(__file__).resolve().parent.parent
NETWORKS = ["cpu0", "cpu6"]  # the smallest and the largest
FORMATS = ["fp32", "fp16", "int8"]


def compiled(gxx, folder):
    program = folder / "arm_instructions"
    includes = ["include", "backends/cpu/include", "benchmarks"]
    subprocess.run([gxx, "-std=c++20", "-O2", "-static", *[f"-I{SOURCE / i}" for i in includes], "-idirafter", "/usr/include",
                    str(SOURCE / "benchmarks/arm_instructions.cpp"), "-o", str(program)], check=True)
    return program


def disassembled(program, objdump):
    """address → whether the instruction there touches a vector register; and the addresses of the two marks"""
    touches, marks = {}, {}
    for line in subprocess.run([objdump, "-d", "--no-show-raw-insn", str(program)], capture_output=True, text=True, check=True).stdout.splitlines():
        if match := re.match(r"([0-9a-f]+) <count_(begin|end)>:", line):
            marks[match[2]] = int(match[1], 16)
        elif match := re.match(r"\s+([0-9a-f]+):\t(\S+)\s*(.*)", line):
            touches[int(match[1], 16)] = bool(re.search(r"\b[vqdshb]([0-9]|[12][0-9]|3[01])\b", match[3].split("<")[0]))
    return touches, marks


def looked_at(program, nm):
    """the address ranges of the backend's functions and the marks, as qemu's -dfilter wants them: to trace all of the packing takes an hour"""
    merged = []
    symbols = subprocess.run([nm, "-S", str(program)], capture_output=True, text=True, check=True).stdout
    for begin, size, name in sorted((int(f[0], 16), int(f[1], 16), f[3]) for f in map(str.split, symbols.splitlines()) if len(f) == 4):
        if ("cpu_detail" not in name or "packed" in name) and not name.startswith("count_"):
            continue
        if merged and begin <= merged[-1][1] + 64:
            merged[-1][1] = begin + size
        else:
            merged.append([begin, begin + size])
    return ",".join(f"{begin:#x}..{end - 1:#x}" for begin, end in merged)


def counted(program, arguments, touches, marks, ranges, qemu):
    """what it printed, instructions between the marks, and those of them that touch a vector register"""
    length, times, counting, block = {}, collections.Counter(), False, None
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace")
        os.mkfifo(trace)
        run = subprocess.Popen([qemu, "-cpu", "max", "-d", "in_asm,exec,nochain", "-dfilter", ranges, "-D", trace, str(program), *arguments],
                               stdout=subprocess.PIPE, text=True)
        with open(trace, errors="replace") as lines:
            for line in lines:
                if line.startswith("Trace"):
                    at = int(line.split("/")[1], 16)
                    if at == marks["begin"]:
                        counting = True
                    elif at == marks["end"]:
                        counting = False
                    if counting:
                        times[at] += 1
                elif line.startswith("IN:"):
                    block = None
                elif line.startswith("0x"):
                    at = int(line.split(":")[0], 16)
                    if block is None:
                        block = at
                        length[block] = 0
                    length[block] += 1
        said = run.stdout.read().split("\n")
        if run.wait() != 0:
            sys.exit(f"arm_instructions: {' '.join(arguments)} failed")
    every = sum(n * length[at] for at, n in times.items())
    vector = sum(n * touches.get(at + 4 * i, False) for at, n in times.items() for i in range(length[at]))
    return said, every, vector


def table(options):
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(options.gxx, pathlib.Path(folder))
        touches, marks = disassembled(program, options.objdump)
        ranges = looked_at(program, options.nm)
        yield "| network | M MACs | " + " | ".join(f"{f}: vector, all" + (", of fp32's" if f != "fp32" else "") for f in FORMATS) + " |"
        yield "|" + "---|" * (2 + len(FORMATS))
        for network in NETWORKS:
            cells, floats = [], None
            for number_format in FORMATS:
                said, every, vector = counted(program, [network, number_format], touches, marks, ranges, options.qemu)
                floats = floats or (vector, every)
                cell = f"{vector / 1e6:.1f} M, {every / 1e6:.1f} M"
                cells.append(cell if floats == (vector, every) else f"{cell}, 1/{floats[0] / vector:.2f}, 1/{floats[1] / every:.2f}")
                print(network, said[0], cell, flush=True)
            yield f"| {network} | {float(said[1]):.0f} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--gxx", default="aarch64-linux-gnu-g++")
    parser.add_argument("--objdump", default="aarch64-linux-gnu-objdump")
    parser.add_argument("--nm", default="aarch64-linux-gnu-nm")
    parser.add_argument("--qemu", default="qemu-aarch64-static")
    options = parser.parse_args()
    marked_page.rewrite(options.page, "arm", lambda: table(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
