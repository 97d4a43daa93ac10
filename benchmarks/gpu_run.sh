#!/usr/bin/env bash
# Tests and measures the CUDA backend in one go, on a machine that may have nothing but a GPU and its driver.
#
#   benchmarks/gpu_run.sh pack                on a machine that builds dynofa: programs and their libraries into
#                                             build/gpu.tar.xz (8 MB), to be copied next to this script's tree
#   benchmarks/gpu_run.sh run [OUT [IMAGES]]  on the GPU machine, in the same tree: tests, memory checks, latencies and,
#                                             with IMAGES (folders of labelled images), top-1 in fp32 and fp16; where
#                                             there is a PyTorch also its times; writes OUT/*.json, *.jsonl and *.txt
#                                             (default build/gpu/out)
# `run` packs first where nothing is packed and a compiler is at hand. DYNOFA_GPU_STEPS, a regular expression, names the
# steps to run; all by default.
set -euo pipefail
cd "$(dirname "$0")/.."
bundle=build/gpu

pack() {
  cmake -S . -B build/gpu-build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O2 -DDYNOFA_CUDA=ON >/dev/null
  cmake --build build/gpu-build --target test.backends.cuda.cuda golden_check bench_subnets gpu_check gpu_figures
  rm -rf $bundle
  mkdir -p $bundle/lib
  for program in tests/test.backends.cuda.cuda tests/golden_check tests/gpu_check benchmarks/bench_subnets benchmarks/gpu_figures; do
    strip -o $bundle/"$(basename $program)" build/gpu-build/$program
    # all libraries but those that belong to the system and to the driver
    ldd build/gpu-build/$program | awk '/=> \//{print $3}' |
      grep -vE '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*|libcuda)\.so' | xargs -r -I{} cp -L {} $bundle/lib/
  done
  tar -cJf build/gpu.tar.xz $bundle
  echo "packed: $(du -sh build/gpu.tar.xz | cut -f1) in build/gpu.tar.xz"
}

run() {
  out=${1:-$bundle/out} images=${2:-}
  [ -f build/gpu.tar.xz ] || [ -x $bundle/bench_subnets ] || pack
  [ ! -f build/gpu.tar.xz ] || tar -xJf build/gpu.tar.xz
  mkdir -p "$out"
  failed=0 libraries=$PWD/$bundle/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  step() { # name, command …: its output to OUT/name.txt, its end to the terminal
    local name=$1 begin=$SECONDS
    shift
    [[ $name =~ ${DYNOFA_GPU_STEPS:-.} ]] || return 0
    if timeout 450 env LD_LIBRARY_PATH="$libraries" "$@" >"$out/$name.txt" 2>&1; then verdict=passed; else verdict="FAILED ($?)" failed=1; fi
    echo "== $name: $verdict in $((SECONDS - begin)) s; $(tail -n 1 "$out/$name.txt")"
  }
  (nvidia-smi || true) >"$out/device.txt" 2>&1
  step conformance $bundle/test.backends.cuda.cuda
  step golden_fp32 $bundle/golden_check tests/golden --backend cuda:fp32
  if command -v compute-sanitizer >/dev/null; then
    step memcheck compute-sanitizer --tool memcheck --error-exitcode 9 $bundle/test.backends.cuda.cuda
    step racecheck compute-sanitizer --tool racecheck --error-exitcode 9 $bundle/test.backends.cuda.cuda
  else
    echo "== memcheck, racecheck: skipped, no compute-sanitizer here"
  fi
  step switch_and_memory $bundle/gpu_check examples/assets/tinyimagenet_w1.2.safetensors ${images:+"$images"}
  step latency $bundle/bench_subnets '--benchmark_filter=subnet/gpu[0-5]/cuda.*batch:(1|64)/' --benchmark_min_time=0.2 \
    --benchmark_out="$out/latency.json" --benchmark_out_format=json
  for precision in fp16 fp32; do
    for batch in 1 64; do
      step launches_${precision}_$batch $bundle/gpu_figures launches --precision $precision --batch $batch
    done
  done
  step networks $bundle/gpu_figures networks
  if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    libraries=${LD_LIBRARY_PATH:-}
    step peers python3 benchmarks/peers/torch_gpu.py "$out/networks.txt" --only "${DYNOFA_PEER_NETWORKS:-gpu}" --out "$out/peers.jsonl" \
      ${DYNOFA_PEER_OPTIONS:-}
  else
    echo "== peers: skipped, no PyTorch with a GPU here"
  fi
  return $failed
}

case "${1:-}" in
pack) pack ;;
run) shift && run "$@" ;;
*) sed -n '2,14s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
