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
# Modules read what rustc says of the kernel's crates, and link with none of their code: none is generated, and an empty
# object stands in. What runs while modules are compiled is compiled quickly; checks of its own would make it slow.
cat >/tmp/rustc <<'RUSTC'
#!/bin/sh
object=
for argument; do
    shift
    case $argument in
    -O) argument=-Copt-level=0 ;;
    --emit=obj=*) object=${argument#--emit=obj=} ;;
    --emit=link=*) set -- "$@" -Cdebug-assertions=n ;;
    esac
    set -- "$@" "$argument"
done
[ -n "$object" ] || exec rustc "$@"
set -e
rustc "$@" -Zno-codegen
as -o "$object" /dev/null
RUSTC
chmod 755 /tmp/rustc
make -rR --no-print-directory -C /linux -f /source/Makefile -o tools/objtool -o tools/bpf/resolve_btfids \
    CC=x86_64-linux-gnu-gcc-14 LOCALVERSION="$2" HOSTRUSTFLAGS=-Copt-level=0 RUSTC=/tmp/rustc \
    -j"$(nproc)" modules_prepare
[ "$(cat /linux/include/config/kernel.release)" = "$release" ] || { echo "prepared source is not $release" >&2; exit 1; }
