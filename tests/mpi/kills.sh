# kills.sh MPIRUN SQUARES FOLDER KILLS: the same bytes whatever the number of processes, and whichever of them is killed.
set -u
mpirun=$1 squares=$2 folder=$3 kills=$4
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder" || exit 1
failed=0
complain() { echo "FAILED: $*"; failed=1; }
run() { "$mpirun" --oversubscribe -n "$1" "$squares" "$2.log" "$2.out" 120 "${3:-5}" 2>"$2.err"; } # PROCESSES NAME [MS]

"$squares" one.log one.out 120 5 >/dev/null || complain "one process, no mpirun"
for n in 1 2 4 8; do
  run $n on$n >on$n.said || complain "$n processes: $(cat on$n.err)"
  cmp -s one.out on$n.out || complain "$n processes: another result"
  echo "$n processes: $(cat on$n.said)"
done
RANDOM=7
for ((i = 0; i < kills; ++i)); do
  name=killed$i
  run 4 $name 30 >$name.said & # 1.6 s and what starting takes
  job=$!
  sleep 0.$((RANDOM % 6 + 4))
  mapfile -t members < <(pgrep -f "^$squares $name.log")
  [ ${#members[@]} -gt 0 ] && kill -9 "${members[RANDOM % ${#members[@]}]}" 2>/dev/null
  wait $job
  before=$(grep -c '"task"' $name.log 2>/dev/null)
  run 4 $name >$name.said || complain "$name, resumed: $(cat $name.err)"
  cmp -s one.out $name.out || complain "$name: another result"
  [ "$(grep -c '"task"' $name.log)" -eq 120 ] || complain "$name: $(grep -c '"task"' $name.log) results of 120"
  echo "kill $((i + 1)): ${before:-0} of 120 tasks were kept, then $(sed 's/, efficiency.*//' $name.said)"
done
"$mpirun" -n 1 "$squares" one.log other.out 121 0 2>&1 | grep -q "another input, tasks: expected 121, got 120" || complain "the log of another job was taken"
exit $failed
