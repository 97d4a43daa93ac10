#!/usr/bin/env python3
"""mca_figures.py PAGE: how full the inner loops of the CPU kernels keep the multiply-adders of cores that are not here.

The kernels are compiled to assembly per instruction set, each kernel's inner loop is found in its flow graph, and llvm-mca says how
many cycles an iteration takes on a core. The tables go into PAGE between the marks of `mca`; what is below its bar is named there.
Python, of the standard library alone, because a flow graph and JSON are no work for a CMake script. Nothing is marked in the sources,
since a mark in a loop changes what the compiler makes of it.

  --check   one loop, no page: the 1x1 tile of NEON on a neoverse-n1, in seconds
"""
import argparse
import collections
import functools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import marked_page

sys.setrecursionlimit(10000)  # a function has some hundred blocks
SOURCE = pathlib.Path(__file__).resolve().parent.parent
ITERATIONS = 400  # of a loop: filling and emptying the core is 1/4 % of that

# What is counted in a loop, and an instruction of it that depends on nothing (#: a register's number), by which the
# model is asked for its own rate.
Op = collections.namedtuple("Op", "words pattern probe registers")
OPS = {
    "neon fma": Op("FMLA, 4 floats", r"fmla$", "fmla v#.4s, v30.4s, v31.s[0]", 28),
    "neon half": Op("FMLA, 8 halves", r"fmla$", "fmla v#.8h, v30.8h, v31.8h", 28),
    "neon dot": Op("SDOT, 16 bytes", r"sdot$", "sdot v#.4s, v30.16b, v31.4b[0]", 28),
    "neon mul": Op("SMULL, 8 bytes", r"smull2?$", "smull v#.8h, v30.8b, v31.8b", 28),
    "ymm fma": Op("VFMADD, 8 floats", r"vfmadd\w+$", "vfmadd231ps %ymm15, %ymm14, %ymm#", 14),
    "zmm fma": Op("VFMADD, 16 floats", r"vfmadd\w+$", "vfmadd231ps %zmm31, %zmm30, %zmm#", 28),
    "ymm mul": Op("VPMADDUBSW and VPMADDWD, 32 bytes", r"vpmadd(ubsw|wd)$", "vpmaddubsw %ymm15, %ymm14, %ymm#", 14),
    "zmm mul": Op("VPMADDUBSW and VPMADDWD, 64 bytes", r"vpmadd(ubsw|wd)$", "vpmaddubsw %zmm31, %zmm30, %zmm#", 28),
    "zmm dot": Op("VPDPBUSD, 64 bytes", r"vpdpbusd$", "vpdpbusd %zmm31, %zmm30, %zmm#", 28),
}

# (core, what is counted) → how many of them a cycle issues, and why: the only place that knows it.
A72 = "Arm's Cortex-A72 optimization guide"
A76 = "Arm's Cortex-A76 optimization guide"
N1 = "Arm's Neoverse N1 optimization guide"
INTEL = "Intel's optimization manual"
ZEN4 = "AMD's optimization guide for Zen 4"
PIPES = {
    ("cortex-a72", "neon fma"): (1, f"{A72}: F0 and F1 are 64 bits wide, a quadword takes both"),
    ("cortex-a72", "neon mul"): (1, f"{A72}: integer products on F0 only"),
    ("cortex-a76", "neon fma"): (2, f"{A76}: V0 and V1, 128 bits wide"),
    ("cortex-a76", "neon half"): (2, f"{A76}: V0 and V1, 128 bits wide"),
    ("neoverse-n1", "neon half"): (2, f"{N1}: V0 and V1, 128 bits wide"),
    ("cortex-a76", "neon dot"): (2, f"{A76}: V0 and V1"),
    ("neoverse-n1", "neon fma"): (2, f"{N1}: V0 and V1, 128 bits wide"),
    ("neoverse-n1", "neon dot"): (2, f"{N1}: V0 and V1"),
    ("haswell", "ymm fma"): (2, f"{INTEL}: ports 0 and 1"),
    ("haswell", "ymm mul"): (1, f"{INTEL}: port 0"),
    ("skylake-avx512", "zmm fma"): (2, f"{INTEL}: port 0 with 1, and port 5"),
    ("skylake-avx512", "zmm mul"): (2, f"{INTEL}: port 0 with 1, and port 5"),
    ("icelake-server", "zmm dot"): (2, f"{INTEL}: port 0 with 1, and port 5"),
    ("znver4", "ymm fma"): (2, f"{ZEN4}: FP0 and FP1, 256 bits wide"),
    ("znver4", "ymm mul"): (2, f"{ZEN4}: FP0 and FP3, 256 bits wide"),
    ("znver4", "zmm fma"): (1, f"{ZEN4}: FP0 and FP1 for two cycles"),
    ("znver4", "zmm dot"): (1, f"{ZEN4}: FP0 and FP1 for two cycles"),
}

Loop = collections.namedtuple("Loop", "name symbol op bar")  # symbol: what stands in its mangled name
BARRED = ("cortex-a76", "neoverse-n1")


def floats_of(space, op, tiles, dense, stem, strip, bars):
    product, depthwise = bars
    for p, v in tiles:
        yield Loop(f"1×1, Winograd's products: {p} × {v} sums", rf"{space}14pointwise_tileIfffLi{p}ELi{v}E", op, product)
    for s in 1, 2:
        yield Loop(f"k×k, stride {s}: {dense[0]} × {dense[1]} sums", rf"{space}10dense_tileILi{dense[0]}ELi{dense[1]}ELi{s}E", op, product)
    yield Loop(f"stem: {stem} × 2 sums", rf"{space}9stem_tileILi{stem}ELi2E", op, product)
    for k in 3, 5, 7:
        for s in 1, 2:
            yield Loop(f"depthwise {k}×{k}, stride {s}: {strip} sums", rf"{space}15depthwise_stripIffLi{k}ELi{s}ELi{strip}E", op, depthwise)
    yield Loop("matrix × vector, fp32", rf"{space}12matvec_groupILb0ELi4ELi4E", op, None)


def halves_of(space, op, pixels, strip, bars):
    product, depthwise = bars
    for p in pixels:
        yield Loop(f"1×1: {p} × 2 sums", rf"{space}14multiply_groupILi{p}E", op, product)
    for k in 3, 5, 7:
        for s in 1, 2:
            yield Loop(f"depthwise {k}×{k}, stride {s}: {strip} sums",
                       rf"{space}15depthwise_stripINS1_7float16ES4_Li{k}ELi{s}ELi{strip}E", op, depthwise)


def bytes_of(space, op, expand, project, strips, bars):
    product, depthwise = bars
    for name, struct, (p, v) in ("expand", "9quad_tile", expand), ("project", "10float_tile", project):
        yield Loop(f"1×1 of bytes, {name}: {p} × {v} sums", rf"{space}{struct}ILi{p}ELi{v}E", op, product)
    for quads in strips:
        for k in 3, 5, 7:
            for s in 1, 2:
                yield Loop(f"depthwise {k}×{k} of bytes, stride {s}: {4 * quads} sums",
                           rf"{space}21depthwise_bytes_stripILi{k}ELi{s}ELi{quads}E", op, depthwise)


Set = collections.namedtuple("Set", "name unit cores loops")
ARM, X86 = "aarch64", "x86_64"
UNITS = {  # (architecture, source of a unit that has the kernels)
    "neon": (ARM, '#include "dynofa/backend/cpu/isa_neon_dot.hpp"\nusing namespace dynofa::backend::cpu_detail;\n'
                  "extern constexpr kernel_table a = neon::kernels, b = neon_dot::with_bytes(neon::kernels);\n"),
    "neon half": (ARM, '#include "dynofa/backend/cpu/isa_neon_half.hpp"\nusing namespace dynofa::backend::cpu_detail;\n'
                       "extern constexpr kernel_table a = neon_half::with_halves(neon::kernels);\n"),
    "neon 1×1": (ARM, '#include "dynofa/backend/cpu/isa_neon.hpp"\nusing namespace dynofa::backend::cpu_detail;\n'
                      "extern constexpr auto a = &neon::pointwise<float, float, float>;\n"),
    "avx512": (X86, '#include "dynofa/backend/cpu/isa_avx512_vnni.hpp"\nusing namespace dynofa::backend::cpu_detail;\n'
                    "extern constexpr kernel_table a = avx512::kernels, b = avx512_vnni::with_bytes(avx512::kernels);\n"),
    "avx2": (X86, '#include "dynofa/backend/cpu/isa_avx2.hpp"\nusing namespace dynofa::backend::cpu_detail;\n'
                  "extern constexpr kernel_table a = avx2::kernels;\n"),
}
NO_BARS = None, None  # x86 is measured (the tables above), not proved
SETS = [
    Set("NEON, fp32", "neon", ("cortex-a72", *BARRED),
        [*floats_of("4neon", "neon fma", [(6, 4), (5, 4)], (6, 4), 8, 14, (0.9, 0.75))]),
    Set("NEON with arithmetic of halves, fp16", "neon half", BARRED, [*halves_of("9neon_half", "neon half", (9, 7), 14, (0.85, 0.75))]),
    Set("NEON with dot products, int8", "neon", BARRED, [*bytes_of("8neon_dot", "neon dot", (4, 4), (6, 4), (4, 3), (0.85, 0.75))]),
    Set("NEON without dot products, int8", "neon", ("cortex-a72",), [*bytes_of("4neon", "neon mul", (4, 4), (4, 4), (4, 3), NO_BARS)]),
    Set("AVX-512, fp32", "avx512", ("skylake-avx512", "znver4"),
        [*floats_of("6avx512", "zmm fma", [(9, 3), (14, 2)], (9, 3), 8, 14, NO_BARS)]),
    Set("AVX-512 VNNI, int8", "avx512", ("icelake-server", "znver4"), [*bytes_of("11avx512_vnni", "zmm dot", (8, 3), (8, 3), (4,), NO_BARS)]),
    Set("AVX-512 without VNNI, int8", "avx512", ("skylake-avx512",), [*bytes_of("6avx512", "zmm mul", (8, 3), (8, 3), (4,), NO_BARS)]),
    Set("AVX2, fp32", "avx2", ("haswell", "znver4"), [*floats_of("4avx2", "ymm fma", [(6, 2), (5, 2)], (6, 2), 6, 8, NO_BARS)]),
    Set("AVX2, int8", "avx2", ("haswell", "znver4"), [*bytes_of("4avx2", "ymm mul", (4, 2), (4, 2), (2,), NO_BARS)]),
]
CHECKED = Set("NEON, fp32", "neon 1×1", ("neoverse-n1",), SETS[0].loops[:1])


# --- assembly → the instructions of an inner loop ---

JUMP = re.compile(r"(j\w+|b|b\.?(eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|any|none)|cbn?z|tbn?z|ret|br|notrack)$")
NEVER_FALLS_THROUGH = ("jmp", "b", "ret", "br", "notrack")


def opcode(instruction):
    return instruction.split(None, 1)[0]


def functions(assembly):
    """Symbol → its lines: labels, which end in a colon, and instructions."""
    found, name = {}, None
    for line in assembly.splitlines():
        label = re.match(r"([\w.$]+):", line)
        if label and not label[1].startswith(".L"):
            name, found[label[1]] = label[1], []
        elif name and line.startswith(f"\t.size\t{name},"):
            name = None
        elif name and label:
            found[name].append(label[0])
        elif name and line.strip() and line.strip()[0] not in ".#/":
            found[name].append(line.strip())
    return found


class Flow:
    """A function's basic blocks, and which may follow which."""

    def __init__(self, lines):
        self.blocks, labels = [[]], {}
        for line in lines:
            if line.endswith(":"):
                if self.blocks[-1]:
                    self.blocks.append([])
                labels[line[:-1]] = len(self.blocks) - 1
            else:
                self.blocks[-1].append(line)
                if JUMP.match(opcode(line)):
                    self.blocks.append([])
        self.next = []
        for i, block in enumerate(self.blocks):
            follows, last = [], block[-1] if block else "nop"
            if JUMP.match(opcode(last)):
                target = re.search(r"\.L\w+$", last)
                if target and target[0] in labels:
                    follows.append(labels[target[0]])
            if opcode(last) not in NEVER_FALLS_THROUGH and i + 1 < len(self.blocks):
                follows.append(i + 1)
            self.next.append(follows)

    def cycles(self, nodes):
        """Strongly connected parts of `nodes` (Tarjan): every loop lies in one."""
        index, low, stack, parts = {}, {}, [], []

        def visit(v):
            index[v] = low[v] = len(index)
            stack.append(v)
            for w in self.next[v]:
                if w in nodes and w not in index:
                    visit(w)
                if w in stack:
                    low[v] = min(low[v], low[w])
            if low[v] == index[v]:
                part = set(stack[stack.index(v):])
                del stack[stack.index(v):]
                if len(part) > 1 or v in self.next[v]:
                    parts.append(part)

        for v in sorted(nodes):
            if v not in index:
                visit(v)
        return parts

    def innermost(self, nodes):
        """(header, blocks) of the loops that hold no other."""
        for part in self.cycles(nodes):
            entered = [w for v in range(len(self.blocks)) if v not in part for w in self.next[v] if w in part]
            header = min(entered or part)
            inner = list(self.innermost(part - {header}))
            yield from inner or [(header, part)]

    def iteration(self, header, part, weight):
        """The instructions of the way through a loop that has most of what `weight` counts."""

        @functools.lru_cache(None)
        def best(v):
            ways = [(0, ()) if w == header else best(w) for w in self.next[v] if w in part]
            ways = [way for way in ways if way is not None]
            if not ways:
                return None
            count, path = max(ways, key=lambda way: way[0])
            return count + weight(self.blocks[v]), (v, *path)

        return [line for v in best(header)[1] for line in self.blocks[v]]


def inner_loop(lines, pattern):
    """One iteration of the innermost loop that has most instructions whose opcode matches."""
    flow, wanted = Flow(lines), re.compile(pattern)

    def weight(block):
        return sum(1 for line in block if wanted.match(opcode(line)))

    loops = [flow.iteration(header, part, weight) for header, part in flow.innermost(set(range(len(flow.blocks))))]
    return max(loops, key=weight, default=[])


# --- llvm-mca ---

Cell = collections.namedtuple("Cell", "share binds")


class Tools:
    def __init__(self, options):
        self.options = options

    @functools.cache
    def kernels(self, unit):
        architecture, source = UNITS[unit]
        compiler = self.options.aarch64_gxx if architecture == ARM else self.options.gxx
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "kernels.cpp")
            file.write_text(source)
            command = [compiler, "-std=c++20", "-O2", "-S", "-o", "-", str(file)]
            return functions(run(command + [f"-I{SOURCE / part}" for part in ("include", "backends/cpu/include")]))

    @functools.cache
    def loop(self, unit, loop):
        lines = [lines for symbol, lines in self.kernels(unit).items() if re.search(loop.symbol, symbol)]
        if not lines:
            sys.exit(f"mca_figures: no function whose name has {loop.symbol}")
        found = max((inner_loop(body, OPS[loop.op].pattern) for body in lines), key=lambda i: count(i, loop.op))
        if not count(found, loop.op):
            sys.exit(f"mca_figures: no loop with {OPS[loop.op].words} in {loop.symbol}")
        return found

    def simulate(self, architecture, core, bodies):
        """llvm-mca's JSON for each of the loops."""
        text = "".join(f"# LLVM-MCA-BEGIN {i}\n" + "\n".join(body) + "\n# LLVM-MCA-END\n" for i, body in enumerate(bodies))
        said = json.loads(run([self.options.mca, f"-mtriple={architecture}", f"-mcpu={core}", f"-iterations={ITERATIONS}", "--json"], text))
        return said["CodeRegions"], said["TargetInfo"]["Resources"]

    @functools.cache
    def rate(self, architecture, core, op):
        """How many a cycle issues: of the core, and of the model that llvm-mca has of it."""
        probe = [OPS[op].probe.replace("#", str(i)) for i in range(OPS[op].registers)]
        summary = self.simulate(architecture, core, [probe])[0][0]["SummaryView"]
        return PIPES[core, op][0], round(2 * summary["Instructions"] / summary["TotalCycles"]) / 2

    def cells(self, unit, core, loops):
        architecture = UNITS[unit][0]
        bodies = [self.loop(unit, loop) for loop in loops]
        regions, units = self.simulate(architecture, core, bodies)
        for loop, body, region in zip(loops, bodies, regions):
            summary = region["SummaryView"]
            cycles = summary["TotalCycles"] / summary["Iterations"]
            share = count(body, loop.op) / min(self.rate(architecture, core, loop.op)) / cycles
            yield Cell(share, binding(region, units, cycles))


def run(command, text=None):
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except OSError as fault:
        sys.exit(f"mca_figures: {command[0]}: {fault.strerror}")
    if done.returncode:
        sys.exit(f"mca_figures: {command[0]}: {done.stderr[:2000]}")
    return done.stdout


def count(body, op):
    return sum(1 for line in body if re.match(OPS[op].pattern, opcode(line)))


def binding(region, units, cycles):
    """What is busy in all but a twentieth of the cycles: units of the core by the model's names, or dispatch."""
    summary = region["SummaryView"]
    busy = collections.defaultdict(float, dispatch=summary["TotaluOps"] / summary["Iterations"] / summary["DispatchWidth"] / cycles)
    for x in region["ResourcePressureView"]["ResourcePressureInfo"]:
        if x["InstructionIndex"] == len(region["Instructions"]):  # behind the last instruction stands the sum of all
            name = re.sub(r"^(A57Unit|N1Unit|HW|SKX|ICX|Zn4)|\..*", "", units[x["ResourceIndex"]])
            busy[name] = max(busy[name], x["ResourceUsage"] / cycles)
    full = sorted(name for name, share in busy.items() if share > 0.95)
    if full:
        return " + ".join(full)
    name = max(busy, key=busy.get)
    return f"waits; {name} at {busy[name]:.2f}"


# --- the page ---


def tables(tools):
    """The page's lines."""
    version = re.search(r"LLVM version ([\d.]+)", run([tools.options.mca, "--version"]))[1]
    compilers = (f"{c} {run([c, '-dumpfullversion']).strip()}" for c in (tools.options.aarch64_gxx, tools.options.gxx))
    lines, missed, used = [f"llvm-mca {version}; {', '.join(compilers)}, -O2."], [], {}
    for s in SETS:
        columns = [[*tools.cells(s.unit, core, s.loops)] for core in s.cores]
        used.update({(core, loop.op): UNITS[s.unit][0] for core in s.cores for loop in s.loops})
        lines += ["", f"### {s.name}", ""]
        lines += ["| loop | multiplying / all instructions | " + " | ".join(f"{core} | binds" for core in s.cores) + " |"]
        lines += ["|---" * (2 + 2 * len(s.cores)) + "|"]
        for loop, *cells in zip(s.loops, *columns):
            body = tools.loop(s.unit, loop)
            shown = " | ".join(f"{c.share:.2f} | {c.binds}" for c in cells)
            lines += [f"| {loop.name} | {count(body, loop.op)} / {len(body)} | {shown} |"]
            missed += [f"{loop.name}, on {core} ({c.share:.3f} of {loop.bar})" for core, c in zip(s.cores, cells)
                       if core in BARRED and loop.bar and c.share < loop.bar]
    lines += ["", "### How many a cycle issues", "", "| core | instruction | core | its model | why |", "|---" * 5 + "|"]
    for (core, op), architecture in used.items():
        pipes, model = tools.rate(architecture, core, op)
        lines += [f"| {core} | {OPS[op].words} | {pipes} | {model:g} | {PIPES[core, op][1]} |"]
    return lines + ["", "Below their bars: " + ("; ".join(missed) if missed else "none") + "."]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="?", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--mca", default="llvm-mca")
    parser.add_argument("--gxx", default="g++")
    parser.add_argument("--aarch64-gxx", default="aarch64-linux-gnu-g++")
    options = parser.parse_args()
    tools = Tools(options)
    if options.check:
        loop = CHECKED.loops[0]
        if tools.rate(ARM, CHECKED.cores[0], loop.op) != (2, 2):
            print(f"skipped: {options.mca} has no model of its own of a {CHECKED.cores[0]}, LLVM 16 has")
            return 0
        [cell] = tools.cells(CHECKED.unit, CHECKED.cores[0], CHECKED.loops)
        print(f"{loop.name} on {CHECKED.cores[0]}: {cell.share:.3f} of the multiply-adds it could issue, binds: {cell.binds}")
        return 0 if cell.share >= loop.bar else 1
    if not options.page:
        parser.error("expected PAGE or --check")
    marked_page.rewrite(options.page, "mca", lambda: tables(tools))
    return 0


if __name__ == "__main__":
    sys.exit(main())
