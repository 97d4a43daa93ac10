#!/usr/bin/env bash
# Tests and measures the CUDA backend in one go, on a machine that may have nothing but a GPU and its driver.
#
#   benchmarks/gpu_run.sh pack [IMAGES CALIB]  on a machine that builds dynofa: programs, their libraries and, from two
#                                              folders of labelled images, at most DYNOFA_GPU_IMAGES (2000) of the first
#                                              and a quarter as many of the second, into build/gpu.tar.xz (7 MB and the
#                                              images), to be copied next to this script's tree
#   benchmarks/gpu_run.sh run [OUT]            on the GPU machine, in the same tree: tests, memory checks, a family
#                                              calibrated, evaluated and searched there, a target held beside other work,
#                                              latencies, and where there is a PyTorch also its times and its training
#                                              loop as the other work; writes OUT/*.json, *.jsonl, *.txt
#                                              (default build/gpu/out)
# DYNOFA_GOLDEN_DIR, a folder of golden data, is packed too; DYNOFA_GPU_PROGRAMS are the programs to pack, if not all.
# `run` packs first where nothing is packed and a compiler is at hand. DYNOFA_GPU_STEPS, a regular expression, names the
# steps to run; all by default, some fifteen minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
bundle=build/gpu build=${DYNOFA_GPU_BUILD:-build/gpu-build}

some_of() { # FOLDER COUNT TO: so many images of a folder of class folders, evenly
  (cd "$1" && find . -type f | sort | awk -v k="$2" -v n="$(find . -type f | wc -l)" 'int(NR * k / n) > int((NR - 1) * k / n)' |
    tar -cf - -T -) | tar -xf - -C "$3"
}

pack() {
  [ -f "$build/build.ninja" ] || cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O2 -DDYNOFA_CUDA=ON >/dev/null
  local programs=${DYNOFA_GPU_PROGRAMS:-tests.backends.cuda.gpu golden_check gpu_check gpu_family_check gpu_hold_check bench_subnets gpu_figures}
  cmake --build "$build" --target $programs
  rm -rf $bundle
  mkdir -p $bundle/lib
  for program in $programs; do
    local built=$(ls "$build"/tests/$program "$build"/benchmarks/$program 2>/dev/null)
    strip -o $bundle/$program "$built"
    # all libraries but those that belong to the system and to the driver
    ldd "$built" | awk '/=> \//{print $3}' |
      grep -vE '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*|libcuda)\.so' | xargs -r -I{} cp -L {} $bundle/lib/
  done
  local net
  for net in ${DYNOFA_GOLDEN_DIR:+"$DYNOFA_GOLDEN_DIR"/*/recipe.json}; do # what golden_check reads of a network
    net=$(dirname "$net")
    mkdir -p $bundle/golden/"$(basename "$net")"
    cp "$net"/{recipe,forward,bncalib}.json "$net"/{forward_logits,forward_logits_f64,bncalib}.safetensors $bundle/golden/"$(basename "$net")"
  done
  if [ $# = 2 ]; then
    mkdir -p $bundle/val $bundle/calib
    some_of "$1" "${DYNOFA_GPU_IMAGES:-2000}" $bundle/val
    some_of "$2" $((${DYNOFA_GPU_IMAGES:-2000} / 4)) $bundle/calib
  fi
  XZ_OPT=-9 tar -cJf build/gpu.tar.xz $bundle
  echo "packed: $(du -sh build/gpu.tar.xz | cut -f1) in build/gpu.tar.xz"
}

run() {
  out=${1:-$bundle/out}
  [ -f build/gpu.tar.xz ] || [ -x $bundle/bench_subnets ] || pack
  [ ! -f build/gpu.tar.xz ] || tar -xJf build/gpu.tar.xz
  mkdir -p "$out"
  failed=0
  local libraries=$PWD/$bundle/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} val= torch=
  [ ! -d $bundle/val ] || val=$bundle/val
  ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null || torch=yes
  step() { # name, command …: its output to OUT/name.txt, its end to the terminal
    local name=$1 begin=$SECONDS
    shift
    [[ $name =~ ^(${DYNOFA_GPU_STEPS:-.*})$ ]] || return 0
    if timeout 450 "$@" >"$out/$name.txt" 2>&1; then verdict=passed; else verdict="FAILED ($?)" failed=1; fi
    echo "== $name: $verdict in $((SECONDS - begin)) s; $(tail -n 1 "$out/$name.txt" | cut -c1-200)"
  }
  skip() { echo "== $1: skipped, $2"; }
  ours() { # the same with our libraries
    local name=$1
    shift
    step "$name" env LD_LIBRARY_PATH="$libraries" "$@"
  }
  (nvidia-smi || true) >"$out/device.txt" 2>&1
  local asset=examples/assets/tinyimagenet
  ours conformance $bundle/tests.backends.cuda.gpu
  ours golden_fp32 $bundle/golden_check tests/golden --backend cuda:fp32 --sections ABC
  if [ -d $bundle/golden ]; then
    ours golden_given $bundle/golden_check $bundle/golden --backend cuda:fp32 --sections BC
  else
    skip golden_given "no DYNOFA_GOLDEN_DIR packed"
  fi
  ours switch_and_memory $bundle/gpu_check ${asset}_w1.2.safetensors $val
  if [ -n "$val" ]; then
    ours family $bundle/gpu_family_check $asset.dynofa $val $bundle/calib ${asset}_accuracy.jsonl "$out/fronts.jsonl"
  else
    skip family "no images packed"
  fi
  ours hold $bundle/gpu_hold_check $asset.dynofa --out "$out/hold"
  if [ -n "$torch" ]; then # our libraries for our program, its own for PyTorch
    ours hold_training $bundle/gpu_hold_check $asset.dynofa --out "$out/hold_training" -- \
      env LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" python3 benchmarks/peers/torch_train.py
  else
    skip hold_training "no PyTorch with a GPU here"
  fi
  if command -v compute-sanitizer >/dev/null; then
    ours memcheck compute-sanitizer --tool memcheck --error-exitcode 9 $bundle/tests.backends.cuda.gpu
    ours racecheck compute-sanitizer --tool racecheck --error-exitcode 9 $bundle/tests.backends.cuda.gpu
  else
    skip memcheck,racecheck "no compute-sanitizer here"
  fi
  ours latency $bundle/bench_subnets '--benchmark_filter=subnet/gpu[0-5]/cuda_(fp16/batch:(1|64)|fp32/batch:1)/' --benchmark_min_time=0.2 \
    --benchmark_out="$out/latency.json" --benchmark_out_format=json
  ours latency_more $bundle/bench_subnets '--benchmark_filter=subnet/(proxyless|resnet)[0-5]/cuda_fp16/batch:1/' --benchmark_min_time=0.2 \
    --benchmark_out="$out/latency_more.json" --benchmark_out_format=json
  for precision in fp16 fp32; do
    for batch in 1 64; do
      ours launches_${precision}_$batch $bundle/gpu_figures launches --precision $precision --batch $batch
    done
  done
  for net in proxyless0 resnet0; do
    ours launches_$net $bundle/gpu_figures launches --only $net
  done
  ours tilings_1 $bundle/gpu_figures tilings --batch 1
  ours tilings_64 $bundle/gpu_figures tilings --batch 64
  ours networks $bundle/gpu_figures networks
  if [ -n "$torch" ]; then
    [ -f "$out/networks.txt" ] || env LD_LIBRARY_PATH="$libraries" $bundle/gpu_figures networks >"$out/networks.txt"
    step peers python3 benchmarks/peers/torch_gpu.py "$out/networks.txt" --only "${DYNOFA_PEER_NETWORKS:-gpu}" --out "$out/peers.jsonl" \
      ${DYNOFA_PEER_OPTIONS:---fp32-batches 1}
    step peers_more python3 benchmarks/peers/torch_gpu.py "$out/networks.txt" --only $(echo {proxyless,resnet}{0..5} | tr ' ' ,) \
      --batches 1 --precisions fp16 --out "$out/peers_more.jsonl"
    step ratios_more python3 benchmarks/peers/gpu_ratios.py "$out/latency_more.json" "$out/peers_more.jsonl"
    step ratios python3 benchmarks/peers/gpu_ratios.py "$out/latency.json" "$out/peers.jsonl"
  else
    skip peers "no PyTorch with a GPU here"
  fi
  return $failed
}

case "${1:-}" in
pack) shift && pack "$@" ;;
run) shift && run "$@" ;;
*) sed -n '2,15s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
