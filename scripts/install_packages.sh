#!/usr/bin/env bash
# Installs what packages.txt lists, and the packages given as arguments, with apt-get; asks for nothing when all are there.
#
#   scripts/install_packages.sh [package...]
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t wanted < <(sed 's/#.*//' packages.txt | tr -s ' \t' '\n' | grep -v '^$')
wanted+=("$@")

if ! command -v apt-get > /dev/null; then
  echo "install_packages: no apt-get here; install the equivalents of these Debian packages: ${wanted[*]}" >&2
  exit 1
fi
missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install_packages: all ${#wanted[@]} packages are there"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo > /dev/null; then
    echo "install_packages: neither root nor sudo; have these installed: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "install_packages: installing ${missing[*]}"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}")
# The package lists may be old or absent; fetch them only when the first try fails.
"${install[@]}" > /dev/null 2>&1 || { "${as_root[@]}" apt-get update -q && "${install[@]}"; }
