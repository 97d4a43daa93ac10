#!/usr/bin/env bash
# Quickstart in 512 MB on one processor, as on the smallest boards: a control group holds it to that, swap included. Leaves
# with 77 where this user may make no group. Prints the most memory that it took.
#
#   small_machine.sh FOLDER_OF_PROGRAMS
set -euo pipefail
name=dynofa_small_$$
leave() { rmdir /sys/fs/cgroup/{.,memory,cpuset}/$name 2>/dev/null || true; }
trap leave EXIT
skip() { echo "no control group for a small machine: $1"; exit 77; }

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then # version 2
  memory=/sys/fs/cgroup/$name processors=$memory limit=memory.max swap=memory.swap.max most=memory.peak
  echo "+memory +cpuset" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || skip "its controllers cannot be handed on"
else
  memory=/sys/fs/cgroup/memory/$name processors=/sys/fs/cgroup/cpuset/$name
  limit=memory.limit_in_bytes swap=memory.memsw.limit_in_bytes most=memory.max_usage_in_bytes
fi
mkdir "$memory" 2>/dev/null || skip "$memory cannot be made"
[ -d "$processors" ] || mkdir "$processors" 2>/dev/null || skip "$processors cannot be made"
echo $((512 << 20)) >"$memory/$limit" || skip "no limit of memory"
[ ! -e "$memory/$swap" ] || { [ $swap = memory.swap.max ] && echo 0 || echo $((512 << 20)); } >"$memory/$swap"
echo 0 >"$processors/cpuset.cpus" || skip "no choice of processors"
echo 0 >"$processors/cpuset.mems"

( for group in "$memory" "$processors"; do echo $BASHPID >"$group/cgroup.procs"; done
  exec "$1/quickstart" ) | tail -n 12
[ ! -e "$memory/$most" ] || echo "most memory: $(($(cat "$memory/$most") >> 20)) MB of 512"
