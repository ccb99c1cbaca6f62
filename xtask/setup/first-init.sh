#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# First thing that runs in the guest, from the initial RAM disk: loads what the disks need, mounts the root, on it the
# modules of this kernel, and unpacks all that is ours, the real process 1 included. That comes in a tar on the job
# disk, so that neither the root image nor this one need change when the code does.
export PATH=/bin
alias b=busybox
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
while read -r name; do
    busybox insmod "/modules/$name"
done </modules/order

# Waits for the disk with the serial number $1; prints its device.
disk() {
    i=0
    while [ $i -lt 1000 ]; do
        for device in /sys/block/*; do
            for serial in "$device/serial" "$device/device/serial"; do
                if [ -e "$serial" ] && [ "$(busybox tr -d ' ' <"$serial")" = "$1" ]; then
                    echo "/dev/${device##*/}"
                    return
                fi
            done
        done
        busybox sleep 0.01
        i=$((i + 1))
    done
}

busybox mount -t ext4 "$(disk root)" /root
modules=/root/usr/lib/modules/$(busybox uname -r)
busybox mkdir -p "$modules"
busybox mount -t ext4 "$(disk modules)" "$modules"
job=$(disk job)
busybox mount -o move /proc /root/proc
busybox mount -o move /sys /root/sys
busybox mount -o move /dev /root/dev
busybox chroot /root /usr/bin/tar -C / --keep-directory-symlink -xf "$job"
exec busybox switch_root /root /usr/lib/mckernel-rs/guest-init
