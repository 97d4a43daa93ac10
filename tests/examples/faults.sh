# What goes wrong with an example is one sentence, found before the work.
. "$(dirname "$0")/common.sh"
echo "no such thing" >text
mkdir folder
family_programs="quickstart 07_switch_at_run_time 08_hold_a_target 09_share_the_device"
checkpoint_programs="04_profile_this_device 05_search_a_family"

# A wrong file, whatever reads it.
for program in $family_programs; do
  refused "$program, a family that is not there" 1 "^nowhere: expected a readable file" $program --family nowhere
  refused "$program, a family that is a folder" 1 "^folder: expected a readable file, got a folder" $program --family folder
  refused "$program, a family that is a text" 1 "^text.*: expected" $program --family text
done
for program in $checkpoint_programs; do
  refused "$program, a checkpoint that is not there" 1 "^nowhere: expected a readable file" $program --checkpoint nowhere
  refused "$program, a checkpoint that is a text" 1 "^text.*: expected" $program --checkpoint text
done
refused "05, a table that is a text" 1 "^text.*: expected" 05_search_a_family --table text
refused "05, measurements that are a text" 1 "^text.*: expected" 05_search_a_family --accuracy text
refused "quickstart, an image that is a text" 1 "^text: expected" quickstart --image text
refused "quickstart, images in no folder" 1 "^nowhere: expected a folder" quickstart --images nowhere
# six WHAT PATTERN CALIB IMAGES OUT ARGUMENT…
six() { refused "06, $1" 1 "$2" 06_build_a_family --calib "$3" --images "$4" --out "$5" --quick "${@:6}"; }
six "a super-network that is a text" "^text.*: expected" "$pictures/calib" "$pictures/images" six --supernet text
six "calibration images in no folder" "^nowhere: expected a folder" nowhere "$pictures/images" six
six "images of other classes" "folder: expected a folder named after one of the given classes" "$pictures/calib" "$work" six
six "measurements that are not there" "^nowhere: expected a readable file" "$pictures/calib" "$pictures/images" six --measured nowhere

# Where the result cannot go.
for program in 04_profile_this_device 05_search_a_family 07_switch_at_run_time 08_hold_a_target 09_share_the_device; do
  refused "$program, --out in no folder" 1 "^/nowhere/x.*: expected a file that can be written" $program --out /nowhere/x
done
refused "04, --out is a folder" 1 "^folder: expected a file that can be written, got a folder" 04_profile_this_device --out folder
refused "04, --state in no folder" 1 "^/nowhere/x: expected a file that can be written" 04_profile_this_device --state /nowhere/x --out t.json
refused "quickstart, --figure in no folder" 1 "^/nowhere/x.*: expected a file that can be written" quickstart --figure /nowhere/x
six "--out below a file" "^text/six: expected a folder" "$pictures/calib" "$pictures/images" text/six

# A full disk, behind a log and behind standard output; a closed pipe.
if [ -w /dev/full ]; then
  ln -s /dev/full full.jsonl
  patience=60 refused "07, a full disk behind the log" 1 "^run log: expected to write it, got No space left" 07_switch_at_run_time --images 4 --out full
  "$examples/01_hello" >/dev/full 2>stderr && complain "01_hello >/dev/full: status 0"
  for program in 02_choose_a_subnetwork quickstart; do
    "$examples/$program" >/dev/full 2>stderr
    status=$?
    [ $status -eq 1 ] && grep -q "^standard output: expected to take every line, got a disk that is full" stderr ||
      complain "$program >/dev/full: status $status, $(cat stderr)"
  done
fi
for program in 02_choose_a_subnetwork quickstart "07_switch_at_run_time --images 4 --out piped"; do
  { sleep 0.5; exec "$examples/"$program 2>stderr; } | true # which has ended before the first line
  status=${PIPESTATUS[0]}
  [ $status -eq 1 ] && grep -q "^standard output: expected to take every line, got a pipe that is closed" stderr ||
    complain "$program | true: status $status, $(cat stderr)"
done

# A name that is not UTF-8, after all of a search too.
latin=$(printf 'caf\351')
"$examples/04_profile_this_device" --quick --seconds 0.2 --resolutions 64 80 96 112 128 --out "$latin.json" >/dev/null 2>stderr || complain "04, a Latin-1 name: $(cat stderr)"
sed -i 's/"device": "[^"]*"/"device": ""/' "$latin.json"
"$examples/05_search_a_family" --quick --table "$latin.json" --out "$latin" >stdout 2>stderr || complain "05, a Latin-1 name: $(cat stderr)"
refused "quickstart, a Latin-1 name that is not there" 1 ": expected a readable file" quickstart --family "$latin.dynofa"

# Options.
for program in $family_programs $checkpoint_programs 06_build_a_family; do
  "$examples/$program" --help >stdout 2>stderr && grep -q -- --help stdout || complain "$program --help: $(cat stderr)"
  refused_options=$("$examples/$program" --no-such-option 2>&1 >/dev/null) && complain "$program --no-such-option was taken"
  [ "$(wc -l <<<"$refused_options")" -le 2 ] || complain "$program --no-such-option: $refused_options"
done
refused "04, no number of threads" 1 "expected|--threads" 04_profile_this_device --threads 0
refused "07, no number of images" 105 "^--images: " 07_switch_at_run_time --images 0
finish
