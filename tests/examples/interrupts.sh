# Ctrl-C: what was done so far is kept, the exit status is 130, and the same command goes on from there.
. "$(dirname "$0")/common.sh"

# interrupted WHEN WHAT PATTERN PROGRAM ARGUMENT…: stopped a second after standard output has WHEN, or after two seconds
# where WHEN is empty
interrupted() {
  local when=$1 what=$2 pattern=$3 status tries=0
  shift 3
  "$examples/$1" "${@:2}" >stdout 2>stderr </dev/null &
  local program=$!
  if [ -z "$when" ]; then sleep 1; else
    until grep -qE -- "$when" stdout || [ $((tries += 1)) -gt 600 ]; do sleep 0.2; done
  fi
  sleep 1
  kill -INT $program
  wait $program
  status=$?
  sed -i 's/.*\r//' stderr
  [ $status -eq 130 ] || complain "$what: status $status instead of 130: $(tail -2 stderr)"
  grep -qE -- "$pattern" stderr && echo "ok    $what: $(tail -1 stderr)" || complain "$what: expected \"$pattern\", got \"$(tail -2 stderr)\""
}
interrupted "" "04" "expected to go on to the end, got an interrupt" 04_profile_this_device --seconds 60 --state state.json --out table.json
[ -s state.json ] || complain "04 kept no state"
[ ! -e table.json ] || complain "04 wrote a table of half a profile"
"$examples/04_profile_this_device" --seconds 0.1 --state state.json --out table.json >stdout 2>stderr || echo "04: $(tail -1 stderr)" # a loaded machine
grep -q "going on from" stdout && [ -s table.json ] || complain "04 began anew"

build="06_build_a_family --calib $pictures/calib --images $pictures/images --quick --profile-seconds 30 --out six"
interrupted "1. profile" "06" "expected to go on to the end, got an interrupt" $build
[ -s six/profile.json ] || complain "06 kept no profile"
interrupted "1. profile" "06 again" "expected to go on to the end, got an interrupt" $build

interrupted "first image" "07" "07.jsonl, which holds the images so far: expected" 07_switch_at_run_time --images 1000000 --out 07
[ "$(wc -l <07.jsonl)" -gt 10 ] || complain "07 kept no log"
interrupted "alone" "08" "08.jsonl, which holds the images so far: expected" 08_hold_a_target --seconds 60 --out 08
[ "$(wc -l <08.jsonl)" -gt 10 ] || complain "08 kept no log"
interrupted "B arrives" "09" "images so far: expected" 09_share_the_device --seconds 30 --out 09
[ "$(wc -l <09_A.jsonl)" -gt 10 ] || complain "09 kept no log"
interrupted "" "05" "expected to go on to the end, got an interrupt" 05_search_a_family --out 05
[ ! -e 05.json ] || complain "05 wrote half a family"
finish
