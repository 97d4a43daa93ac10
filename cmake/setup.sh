# Sourced by ./quickstart and ./check: help, missing Debian packages, configuring.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# explain: the comment at the top of the script that runs
explain() { sed -n '2,/^set /s/^# \?//p' "$(basename "$0")"; exit 0; }
# refuse SENTENCE
refuse() { echo "$(basename "$0"): $1" >&2; exit 2; }

# install_packages [build]: what is missing of cmake/debian-packages.txt, all of it or what comes before the second compiler
install_packages() {
  local wanted missing=() package sudo=
  wanted=$(cat cmake/debian-packages.txt)
  [ "${1:-all}" = all ] || wanted=${wanted%%# the second compiler*}
  for package in $(grep -v '^#' <<<"$wanted"); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then sudo=sudo; else
      echo "Missing Debian packages. Please run:  sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
      exit 1
    fi
  fi
  echo "installing ${missing[*]}"
  $sudo apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
}

# configure PRESET [OPTION…]: quiet unless it fails
configure() { local said; said=$(cmake --preset "$@" 2>&1) || { echo "$said"; exit 1; }; }
