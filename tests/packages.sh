#!/bin/sh
# Installs what the build needs and this machine lacks, with apt (Debian 12). Prints nothing when all is
# there.
#
#   sh tests/packages.sh [PACKAGE ..]     these instead
set -eu
packages="gcc cmake make pkg-config flex bison llvm-19-dev libcmocka-dev libhdf5-dev libnifti-dev libpng-dev
libjpeg-dev libtiff-dev zlib1g-dev libcjson-dev libcairo2-dev fonts-dejavu-core g++ libgdcm-dev"
[ $# = 0 ] || packages="$*"
missing=""
for p in $packages; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "these packages are missing, and there is no apt-get to install them:$missing" >&2
  exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
