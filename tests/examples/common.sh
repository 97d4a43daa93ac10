# Sourced by the tests of this folder: FOLDER_OF_PROGRAMS SCRATCH_FOLDER
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd) examples=$1 work=$2 wrong=0
pictures=$examples/pictures
rm -rf "$work" && mkdir -p "$work" && cd "$work" || exit 1

# complain SENTENCE
complain() { echo "FAIL  $1"; wrong=$((wrong + 1)); }

# refused WHAT STATUS PATTERN PROGRAM ARGUMENT…: it ends with the status and one sentence on standard error that matches, and
# it does so before it works, that is, at once (patience: within so many seconds)
refused() {
  local what=$1 status=$2 pattern=$3 got start=$SECONDS
  shift 3
  "$examples/$1" "${@:2}" >stdout 2>stderr </dev/null
  got=$?
  sed -i 's/.*\r//' stderr # progress bars
  if [ $got -ne "$status" ]; then complain "$what: status $got instead of $status: $(cat stderr)"
  elif [ $((SECONDS - start)) -gt ${patience:-10} ]; then complain "$what: found after $((SECONDS - start)) s"
  elif ! grep -qE -- "$pattern" stderr; then complain "$what: expected \"$pattern\", got \"$(cat stderr)\""
  elif grep -qE 'terminate|exception|what\(\)|filesystem error|\[json|basic_|std::|yaml-cpp|bad_alloc' stderr; then
    complain "$what: a library's own words: $(cat stderr)"
  else echo "ok    $what: $(tail -1 stderr)"
  fi
}
finish() { [ $wrong -eq 0 ] && echo "all as expected" || { echo "$wrong wrong"; exit 1; }; }
