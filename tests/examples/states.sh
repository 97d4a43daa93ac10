# Example 06 goes on behind an earlier run of the same inputs, and refuses to go on from others, naming which.
. "$(dirname "$0")/common.sh"
build() { "$examples/06_build_a_family" --calib "$pictures/calib" --images "$pictures/images" --quick --out family >log 2>&1; }
build || complain "the first run: $(tail -1 log)"
grep -q 'with 12 labelled images all 95 % intervals overlap' log || grep -q '^1 levels' log ||
  complain "no word of intervals that overlap"
[ -s family/family.dynofa ] || complain "no family was written"
grep -qa '12 training images' family/family.dynofa || complain "the provenance does not say how many images calibrated"
cp family/measured.json before.json
build || complain "the second run: $(tail -1 log)"
cmp -s family/measured.json before.json || complain "the second run measured anew"
grep -q calibrate.*] log && complain "the second run calibrated again"

# changed WHAT PATTERN CALIB IMAGES ARGUMENT…
changed() {
  refused "06 with another $1" 1 "made earlier from another input, $2" 06_build_a_family --calib "$pictures/$3" --images "$pictures/$4" --quick --out family "${@:5}"
}
changed "super-network" "super-network: expected hash" calib images --supernet "$pictures/retrained.safetensors"
changed "--calib" "calibration images: expected 12 pictures, hash" images images
changed "--images" "labelled images: expected 12 pictures, hash" calib calib
changed "--samples" "samples: expected 12, got 10" calib images --samples 12
changed "--rounds" "rounds: expected 2, got 1" calib images --rounds 2
changed "--measured" "accuracies given: expected hash" calib images --measured "$here/../../examples/assets/tinyimagenet_accuracy.jsonl"
cmp -s family/measured.json before.json || complain "a refusal changed a state"

# The profiler's state, example 04.
profile() { "$examples/04_profile_this_device" --quick --seconds 0.2 --resolutions 64 --state state.json --out table.json "$@" >log 2>&1; }
profile && profile || complain "04 with a state: $(tail -3 log)"
refused "04 with other resolutions" 1 "another input, resolutions: expected 96, got 64" 04_profile_this_device --quick --resolutions 96 --state state.json --out t.json
refused "04 with other threads" 1 "another input, backend: expected" 04_profile_this_device --quick --resolutions 64 --threads 2 --state state.json --out t.json

# The state of front_check, a family file.
cp "$examples/../tests/front_check" "$work/front_check" 2>/dev/null && {
  front() { ./front_check "$here/../../examples/assets/tinyimagenet.dynofa" "$pictures/images" "$pictures/calib" --random 1 --only count --state front.state "$@" >log 2>&1; }
  front && cp front.state front.before && front || complain "front_check: $(tail -1 log)"
  cmp -s front.state front.before || complain "front_check measured anew"
  examples=. refused "front_check with other pictures" 1 "another input, calibration images: expected 12 pictures" front_check \
    "$here/../../examples/assets/tinyimagenet.dynofa" "$pictures/images" "$pictures/images" --random 1 --only count --state front.state
  examples=. refused "front_check with fewer pictures" 1 "another input, images: expected 5 pictures" front_check \
    "$here/../../examples/assets/tinyimagenet.dynofa" "$pictures/images" "$pictures/calib" --limit 5 --random 1 --only count --state front.state
}
finish
