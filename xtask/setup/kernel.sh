#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs inside the build root. Fetches one release of Debian's kernel and prepares its source for building modules.
# /out becomes the cache entry: release, vmlinuz, vmlinux, modules/ (lib/modules/RELEASE) and source/ (also mounted on /linux).
set -eu
wanted=$1  # e.g. 7.2.12
flavour=$2 # e.g. +deb13-cloud-amd64

apt-get -qq update
if ! apt-cache show "linux-binary-$wanted$flavour" >/dev/null 2>&1; then
    series=${wanted%.*}
    newest=$(apt-cache pkgnames "linux-binary-$series." | grep -F -- "$flavour" | sed "s/^linux-binary-//; s/+.*//" | sort -V | tail -n 1)
    [ -n "$newest" ] || { echo "Debian offers no Linux $series$flavour any more" >&2; exit 1; }
    echo "warning: Linux $wanted is gone from Debian; using $newest" >&2
    wanted=$newest
fi
release=$wanted$flavour
version=$(apt-cache show "linux-binary-$release" | sed -n 's/^Version: //p' | head -n 1)

mkdir -p /out/deb && cd /out/deb
apt-get -qq download "linux-binary-$release=$version" "linux-base-$release=$version" "linux-modules-$release=$version" \
    "linux-headers-$release=$version" "linux-source-${wanted%.*}=$version"
for deb in linux-*.deb; do dpkg-deb -x "$deb" tree; done

mkdir /out/modules
find tree -path "*/modules/$release" -type d -exec cp -a {}/. /out/modules/ ';'
image=$(find tree -name 'vmlinuz*' -type f | head -n 1)
cp "$image" /out/vmlinuz
rm -f /out/modules/vmlinuz /out/modules/build /out/modules/source
depmod_base=$(mktemp -d) && mkdir -p "$depmod_base/usr/lib/modules" && ln -s usr/lib "$depmod_base/lib"
ln -s /out/modules "$depmod_base/usr/lib/modules/$release"
depmod -b "$depmod_base" "$release"

# The bzImage carries a zstd-compressed ELF vmlinux; QEMU boots that directly (PVH), which saves a second per boot.
offset=$(grep -abom1 -F "$(printf '\050\265\057\375')" /out/vmlinuz | head -n 1 | cut -d: -f1)
tail -c +$((offset + 1)) /out/vmlinuz | zstd -dcq >/out/vmlinux 2>/dev/null || true
[ "$(head -c 4 /out/vmlinux | tail -c 3)" = ELF ] || { echo "no ELF kernel found inside vmlinuz" >&2; exit 1; }

tar -C /linux --strip-components=1 -xf "$(find tree -name 'linux-source-*.tar.*' | head -n 1)"
headers=$(find tree -path "*linux-headers-$release*" -name Module.symvers | head -n 1)
cp "$(find tree -path "*linux-headers-$release*" -name .config | head -n 1)" /linux/.config
cp "$headers" /linux/Module.symvers
make -C /linux CC=x86_64-linux-gnu-gcc-14 LOCALVERSION="$flavour" -j"$(nproc)" modules_prepare
[ "$(cat /linux/include/config/kernel.release)" = "$release" ] || { echo "prepared source is not $release" >&2; exit 1; }
rm -rf /out/deb
echo "$release" >/out/release
