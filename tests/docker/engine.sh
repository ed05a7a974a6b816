#!/usr/bin/env bash
# Makes sure that a Docker engine answers: leaves a running one alone, else (root only) installs Debian's docker.io
# where it is missing, starts dockerd, and says how to stop it.
set -euo pipefail

WAIT_SECONDS=90
PID_FILE=/var/run/docker.pid
LOG=/var/log/dockerd.log

fail() { printf 'engine: %s\n' "$@" >&2; exit 1; }
answers() { command -v docker >/dev/null && timeout 20 docker version --format '{{.Server.Version}}' 2>/dev/null; }

if version=$(answers); then
  echo "engine: Docker $version answers; it is left as it is"
  exit 0
fi
[ -z "${DOCKER_HOST:-}" ] || fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST." "Start it, or unset DOCKER_HOST."
if [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]; then
  fail "this user may not use /var/run/docker.sock." "Join the group docker (sudo usermod -aG docker \$USER, then log in again), or be root."
fi
[ "$(id -u)" = 0 ] || fail "no Docker engine answers, and only root can start one." "Start Docker, or run this as root."

if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
  command -v apt-get >/dev/null || fail "there is no Docker here, and no apt-get to install it with." "Install Docker: https://docs.docker.com/engine/install/"
  echo "engine: installing docker.io"
  apt-get update -qq >/dev/null || echo "engine: apt-get update had complaints; going on with what it has"
  packages="docker.io"
  # From Debian 13 on, the command line is a package of its own.
  ! apt-cache show docker-cli >/dev/null 2>&1 || packages="$packages docker-cli"
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages ca-certificates >/dev/null
  # The package's own start of the service, where there is an init system to do it, may need a moment.
fi

if ! answers >/dev/null; then
  # One that is starting, or that does not answer, must not get a second one beside it.
  if [ -f "$PID_FILE" ] && kill -0 "$(cat "$PID_FILE")" 2>/dev/null; then
    echo "engine: dockerd $(cat "$PID_FILE") runs and does not answer yet"
  else
    echo "engine: starting dockerd; its log is $LOG"
    rm -f "$PID_FILE"
    (
      # A lock or a pipe of the caller's must not live as long as the engine does.
      for open in /proc/self/fd/*; do
        [ "${open##*/}" -le 2 ] || eval "exec ${open##*/}>&-"
      done
      exec setsid nohup dockerd --pidfile "$PID_FILE" >>"$LOG" 2>&1 </dev/null
    ) &
  fi
  deadline=$((SECONDS + WAIT_SECONDS))
  until answers >/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      tail -n 20 "$LOG" >&2 || true
      fail "dockerd does not answer after $WAIT_SECONDS s; its last lines are above." "It needs root, cgroups and iptables: in a container without those, use another machine."
    fi
    sleep 0.5
  done
fi
echo "engine: Docker $(answers) answers. To stop it: kill \$(cat $PID_FILE)"
