#!/usr/bin/env bash
# Makes sure that Docker Compose v2 can be had: leaves an installed one alone, else takes the plugin out of Debian's
# package, from the same mirror and held against the same keys as this machine's own packages. Nothing is installed:
# apt works in a folder of its own, and the plugin stays in the folder that is printed.
#
#   DOCKER_CONFIG=$(tests/docker/compose.sh) docker compose version
#
# Prints the folder to name in DOCKER_CONFIG, and nothing else, to stdout; what is being done, to stderr.
set -euo pipefail

SUITE=trixie # bookworm has Compose v1 only
PACKAGE=docker-compose
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
SECONDS_TO_FETCH=120

cd "$(dirname "$0")/../.."
folder=$(pwd)/${TWINSERVE_STATE:-.twinserve}/docker
case ${TWINSERVE_STATE:-} in /*) folder=$TWINSERVE_STATE/docker ;; esac
plugin=$folder/cli-plugins/docker-compose

say() { printf 'compose: %s\n' "$@" >&2; }
fail() { say "$@"; exit 1; }

command -v docker >/dev/null || fail "there is no docker command here." "Run tests/docker/engine.sh first."
if version=$(docker compose version --short 2>/dev/null); then
  say "Docker Compose $version is installed; it is left as it is"
  echo "${DOCKER_CONFIG:-$HOME/.docker}"
  exit 0
fi
if [ -x "$plugin" ] && version=$(DOCKER_CONFIG=$folder docker compose version --short 2>/dev/null); then
  say "Docker Compose $version was fetched before"
  echo "$folder"
  exit 0
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && [ -f "$KEYRING" ] ||
  fail "Docker Compose v2 is missing, and this is no Debian to fetch it with." "Install it: https://docs.docker.com/compose/install/"

# The mirror that this machine's own apt uses for Debian itself.
mirror=$(apt-get indextargets --format '$(SUITE)|$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
  awk -F'|' '$2 == "Debian" && $3 == "Debian" { print $4; exit }')
mirror=${DEBIAN_MIRROR:-$mirror}
[ -n "$mirror" ] || fail "this machine's apt names no Debian mirror to fetch Compose v2 from." "Name one in DEBIAN_MIRROR, or install Compose: https://docs.docker.com/compose/install/"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work/unpacked"
echo "deb [signed-by=$KEYRING] $mirror $SUITE main" >"$work/sources.list"
apt=(apt-get -q
  -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=-
  -o Dir::State::lists="$work/lists" -o Dir::Cache::archives="$work/archives"
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  -o APT::Sandbox::User=root -o Acquire::Languages=none)
say "fetching $PACKAGE from Debian $SUITE"
(cd "$work" && timeout "$SECONDS_TO_FETCH" "${apt[@]}" update && timeout "$SECONDS_TO_FETCH" "${apt[@]}" download "$PACKAGE") >"$work/log" 2>&1 ||
  { tail -n 10 "$work/log" >&2; fail "$PACKAGE cannot be fetched; apt's last lines are above."; }
dpkg-deb -x "$work/$PACKAGE"_*.deb "$work/unpacked"
found=$(find "$work/unpacked" -path '*/cli-plugins/docker-compose' -type f | head -n 1)
[ -n "$found" ] || fail "Debian's $PACKAGE holds no plugin for docker."
mkdir -p "$folder/cli-plugins"
cp "$found" "$plugin.$$"
chmod 755 "$plugin.$$"
mv "$plugin.$$" "$plugin"
version=$(DOCKER_CONFIG=$folder docker compose version --short) || fail "the plugin does not run."
say "Docker Compose $version is in $folder"
echo "$folder"
