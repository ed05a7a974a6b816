#!/usr/bin/env bash
# Makes sure that the image the Dockerfiles build on is there: pulled where a registry can be reached, else made from
# Debian's packages (root only), as slim as the official one. Nothing of this machine goes into it but the address
# of its Debian mirror.
set -euo pipefail

SUITE=bookworm
IMAGE=debian:$SUITE-slim
PULL_SECONDS=60
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

fail() { printf 'base image: %s\n' "$@" >&2; exit 1; }

if docker image inspect "$IMAGE" >/dev/null 2>&1; then
  echo "base image: $IMAGE is here"
  exit 0
fi
docker version >/dev/null 2>&1 || fail "no Docker engine answers." "Run tests/docker/engine.sh first."
echo "base image: pulling $IMAGE"
if pulled=$(timeout "$PULL_SECONDS" docker pull --quiet "$IMAGE" 2>&1); then
  echo "base image: pulled $IMAGE"
  exit 0
fi
echo "base image: it cannot be pulled (${pulled:-no answer in $PULL_SECONDS s}); making it from Debian's packages"
[ "$(id -u)" = 0 ] || fail "only root can make it." "Run this as root, or docker pull $IMAGE where a registry can be reached."
if ! command -v debootstrap >/dev/null || [ ! -f "$KEYRING" ]; then
  command -v apt-get >/dev/null || fail "debootstrap is missing, and there is no apt-get to install it with."
  apt-get update -qq >/dev/null || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap debian-archive-keyring >/dev/null
fi

# The mirror that this machine's own apt uses for that suite; empty where it has none.
mirror_of() { # suite
  local found=""
  if command -v apt-get >/dev/null; then
    found=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
      awk -v suite="$1" '$1 == suite { print $2; exit }')
  fi
  echo "${found%/}"
}
mirror=${DEBIAN_MIRROR:-$(mirror_of $SUITE)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
# Without a mirror debootstrap takes its own.
debootstrap --variant=minbase --keyring="$KEYRING" "$SUITE" "$root" ${mirror:+"$mirror"} >"$work/log" 2>&1 ||
  { tail -n 20 "$work/log" >&2; fail "debootstrap failed; its last lines are above."; }

mirror=${mirror:-$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")}
security=$(mirror_of $SUITE-security)
security=${security:-$mirror-security} # where mirrors keep it

cat >"$root/etc/apt/sources.list" <<SOURCES
deb [signed-by=$KEYRING] $mirror $SUITE main
deb [signed-by=$KEYRING] $mirror $SUITE-updates main
deb [signed-by=$KEYRING] $security $SUITE-security main
SOURCES
# What Debian's official slim image leaves out, now and at every later installation.
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'SLIM'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
SLIM
cat >"$root/etc/apt/apt.conf.d/slim" <<'SLIM'
Acquire::Languages "none";
APT::Install-Recommends "false";
SLIM
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -depth -type d -empty -delete
rm -rf "$root"/usr/share/{info,locale,man}/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*
# Of this machine, and none of the image's business.
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial"

tar -C "$root" --one-file-system -c . | docker import --change 'CMD ["bash"]' --message "debootstrap $SUITE" - "$IMAGE" >/dev/null
echo "base image: made $IMAGE, $(docker image inspect --format '{{.Size}}' "$IMAGE" | awk '{ printf "%.0f MB", $1 / 1e6 }')"
