# SPDX-License-Identifier: GPL-2.0
# Runs inside the base tree, with the functions of xtask/src/setup/apt.rs. Fetches one release of Debian's kernel and takes
# it apart; /out becomes the cache entry: vmlinuz, vmlinux, initrd, modules/ (lib/modules/RELEASE), modules.ext4 (the same
# as a disk), headers/ (config and more).
release=$1
first_init=$2
shift 2

cd /out
unpack tree "$@"

mkdir modules
find tree -path "*/modules/$release" -type d -exec cp -a {}/. modules/ ';'
cp "$(find tree -name 'vmlinuz*' -type f | head -n 1)" vmlinuz
rm -f modules/vmlinuz modules/build modules/source
mkdir -p root/usr/lib/modules && ln -s usr/lib root/lib
ln -s /out/modules "root/usr/lib/modules/$release"
depmod -b root "$release"
mkfs.ext4 -F -q -d modules -O '^has_journal,^resize_inode' -E lazy_itable_init=0 modules.ext4 1G

mkdir headers
cp -a "$(dirname "$(find tree -path "*linux-headers-$release*" -name Module.symvers | head -n 1)")/." headers/

# The bzImage carries a zstd-compressed ELF vmlinux; QEMU boots that directly (PVH), which saves a second per boot.
for offset in $(grep -abo -F "$(printf '\050\265\057\375')" vmlinuz | cut -d: -f1); do
    tail -c +$((offset + 1)) vmlinuz | zstd -dcq >vmlinux 2>/dev/null || true
    [ "$(head -c 4 vmlinux | tail -c 3)" != ELF ] || break
done
[ "$(head -c 4 vmlinux | tail -c 3)" = ELF ] || { echo "no ELF kernel found inside vmlinuz" >&2; exit 1; }

# What the kernel needs before it sees its disks: modules, in this order, and a program that loads them.
mkdir -p early/bin early/modules early/proc early/sys early/dev early/root
for module in nvme ext4 virtio_pci virtio_blk virtio_console; do
    modprobe -d /out/root -S "$release" --show-depends "$module" | sed -n 's/^insmod //p'
done | awk '!seen[$1]++ { print $1 }' | while read -r file; do
    name=$(basename "$file")
    case $name in
    *.xz) xz -dc "$file" >"early/modules/${name%.xz}" ;;
    *.zst) zstd -dcq "$file" >"early/modules/${name%.zst}" ;;
    *) cp "$file" early/modules/ ;;
    esac
    echo "${name%.ko*}.ko" >>early/modules/order
done
cp /bin/busybox early/bin/
printf %s "$first_init" >early/init
chmod 755 early/init
(cd early && find . | busybox cpio -o -H newc) >initrd
rm -rf tree root early
