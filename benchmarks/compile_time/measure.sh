#!/usr/bin/env bash
# Compile time of a device's program that links the compiled parts, of the 20-line hello and of the umbrella header: user
# seconds, median of five, against the bars.
#
#   measure.sh ROOT OUTPUT.json [-I… -isystem …]      compiler from $CXX, g++ if unset
#
# Prints a line per program, writes the same as JSON and ends with status 1 if a bar is not met.
set -euo pipefail
root=$1 output=$2
shift 2
compiler=${CXX:-g++}
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
export CCACHE_DISABLE=1 LC_ALL=C
TIMEFORMAT=%U

# median SOURCE FLAG…: of five compilations
median() {
  for _ in 1 2 3 4 5; do
    { time "$compiler" -std=c++20 -O2 "${@:2}" -c "$1" -o "$scratch/unit.o" 2>"$scratch/messages" ||
        { cat "$scratch/messages" >&2; exit 1; }; } 2>>"$scratch/times" || { cat "$scratch/times" >&2; return 1; }
  done
  sort -n "$scratch/times" | sed -n 3p
  rm "$scratch/times"
}

met=true rows=()
# row NAME SOURCE BAR FLAG…
row() {
  local seconds within=true
  seconds=$(median "$2" "${@:4}")
  awk -v s="$seconds" -v bar="$3" 'BEGIN { exit !(s <= bar) }' || { within=false met=false; }
  printf '%-13s %6.2f s   bar %5.1f s   %s\n' "$1" "$seconds" "$3" "$([ $within = true ] && echo met || echo "NOT MET")"
  rows+=("$(printf '{"name": "%s", "seconds": %s, "bar_seconds": %s, "met": %s}' "$1" "$seconds" "$3" $within)")
}
folders=(-I"$root/include" -I"$root/backends/cpu/include")
linked=(-DDYNOFA_RUNTIME_LINKED -DDYNOFA_CPU_KERNELS_LINKED)
row device "$root/tests/package/device/hold.cpp" 6 "${folders[@]}" "${linked[@]}"
row device_debug "$root/tests/package/device/hold.cpp" 6 "${folders[@]}" "${linked[@]}" -O0 -g
row hello "$root/examples/01_hello.cpp" 5 "${folders[@]}" "$@"
row umbrella "$root/benchmarks/compile_time/umbrella.cpp" 12 "${folders[@]}" "$@"
printf '{"compiler": "%s", "flags": "-std=c++20 -O2", "unit": "user seconds, median of 5", "programs": [%s, %s]}\n' \
  "$("$compiler" --version | head -1 | tr -d '"\\')" "${rows[@]}" >"$output"
echo "written to $output"
$met
