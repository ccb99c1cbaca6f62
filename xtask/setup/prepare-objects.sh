# SPDX-License-Identifier: GPL-2.0
# Runs inside the build root. Prepares the source of one release (/source, with kbuild's tools in /kbuild) for building
# modules; /linux becomes the cache entry: what make calls the output folder. $1 = release, $2 = LOCALVERSION.
set -eu
release=$1
cp /headers/.config /headers/Module.symvers /linux/
# What Debian ships built need not be built again: -o says that these targets are there.
mkdir -p /linux/tools/objtool /linux/tools/bpf/resolve_btfids
cp -a /kbuild/objtool/. /linux/tools/objtool/
cp -a /kbuild/bpf/resolve_btfids/. /linux/tools/bpf/resolve_btfids/
grep -qx CONFIG_RUST=y /linux/.config || { echo "$release is built without CONFIG_RUST" >&2; exit 3; }
make -rR --no-print-directory -C /linux -f /source/Makefile -o tools/objtool -o tools/bpf/resolve_btfids \
    CC=x86_64-linux-gnu-gcc-14 LOCALVERSION="$2" HOSTRUSTFLAGS=-Copt-level=0 -j"$(nproc)" modules_prepare
[ "$(cat /linux/include/config/kernel.release)" = "$release" ] || { echo "prepared source is not $release" >&2; exit 1; }
