#!/usr/bin/env bash
# Debian's arm64 libraries in a folder, for cmake/aarch64-linux-gnu.cmake: what an ARM board installs to build dynofa
# (cmake/debian-packages.txt), of the release that this machine has. 35 MB to download, 300 MB in the folder. Needs no root and
# leaves the machine's own packages alone.
#
#   cmake/arm64-sysroot.sh [FOLDER]      build/arm64-sysroot
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(realpath -m "${1:-build/arm64-sysroot}")
[ ! -e "$root/complete" ] || exit 0

# apt as on a new arm64 machine: it has no package yet.
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
: > "$apt/status"
arm64() {
  apt-get -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$apt" -o Dir::State::status="$apt/status" \
          -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt" -o Debug::NoLocking=1 -o APT::Sandbox::User= "$@" >"$apt/said" 2>&1 ||
    { cat "$apt/said" >&2; echo "arm64-sysroot.sh: expected arm64 packages from this machine's package sources, got what stands above" >&2; exit 1; }
}
arm64 update
arm64 install -y --download-only --no-install-recommends libc6-dev $(sed '/^# the second compiler/,$d' cmake/debian-packages.txt | grep -- '-dev$')

rm -rf "$root"
mkdir -p "$root/usr/lib"
ln -s usr/lib "$root/lib" # as every Debian machine has it
for package in "$apt"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$root"
done
touch "$root/complete"
