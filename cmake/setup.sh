# Sourced by ./quickstart and ./check: installs what is missing of cmake/debian-packages.txt, or says how.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# install_packages SECTION…: all packages, or those up to the first line that starts with "# the second compiler"
install_packages() {
  local wanted missing=() package sudo=
  if [ "${1:-all}" = build ]; then wanted=$(sed '/^# the second compiler/,$d' cmake/debian-packages.txt); else wanted=$(cat cmake/debian-packages.txt); fi
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

# configure PRESET: quiet unless it fails
configure() { cmake --preset "$1" >"/tmp/dynofa-configure-$1.$$" 2>&1 || { cat "/tmp/dynofa-configure-$1.$$"; exit 1; }; rm -f "/tmp/dynofa-configure-$1.$$"; }
