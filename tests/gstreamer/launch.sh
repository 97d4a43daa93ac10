#!/usr/bin/env bash
# The plugin by gst-launch, as the README has it: each line ends well and classifies every frame.
#
#   launch.sh PLUGIN_FOLDER FAMILY WORK_FOLDER
set -euo pipefail
plugin=$1 family=$2 work=$3
rm -rf "$work" && mkdir -p "$work"
export GST_PLUGIN_PATH=$plugin GST_REGISTRY=$work/registry.bin XDG_CACHE_HOME=$work/cache

# frames N WORD…   the pipeline tells of N frames and ends by itself
frames() {
  local expected=$1 found
  shift
  if ! timeout 120 gst-launch-1.0 -m "$@" > "$work/log" 2>&1; then
    cat "$work/log"
    echo "gst-launch-1.0 $*: expected to end well" >&2
    exit 1
  fi
  found=$(grep -c 'dynofa-classification,' "$work/log" || true)
  [[ $found == "$expected" ]] || { echo "gst-launch-1.0 $*: expected $expected frames, got $found" >&2; exit 1; }
}

net="dynofaclassify family=$family target-latency=5 post-messages=frames"
gst-inspect-1.0 dynofaclassify > "$work/inspect"
for property in family target-latency percentile level stats; do
  grep -q "^  $property " "$work/inspect" || { echo "gst-inspect-1.0: expected $property" >&2; exit 1; }
done
for format in RGB BGR RGBA BGRA GRAY8 NV12 YUY2; do
  frames 10 videotestsrc num-buffers=10 ! "video/x-raw,format=$format,width=160,height=120" ! $net ! fakesink
done
frames 10 videotestsrc num-buffers=10 ! videoconvert ! $net ! videoconvert ! jpegenc ! multifilesink "location=$work/%03d.jpg"
frames 10 multifilesrc "location=$work/%03d.jpg" caps=image/jpeg,framerate=30/1 ! jpegdec ! videoconvert ! $net ! fakesink
# The README's own line, with this build's plugin.
cd "$(dirname "$0")/../.."
line=$(sed -n "s|^ *GST_PLUGIN_PATH=build/release/examples/13_gstreamer gst-launch-1.0 -m ||p" README.md)
[[ $line == *dynofaclassify* ]] || { echo "README.md: expected a line with gst-launch-1.0" >&2; exit 1; }
frames 100 $line
if timeout 60 gst-launch-1.0 videotestsrc num-buffers=1 ! dynofaclassify family=nowhere ! fakesink > "$work/log" 2>&1; then
  echo "gst-launch-1.0: expected a fault of a family that is not there" >&2
  exit 1
fi
grep -q "nowhere: expected a readable file, got No such file or directory" "$work/log"
echo "gst-launch-1.0 classified every frame"
