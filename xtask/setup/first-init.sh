#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# First thing that runs in the guest. All that is ours, the real process 1 included, comes in a tar on the job disk,
# so that the root image need not change when the code does.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
modprobe virtio_blk
i=0
while [ ! -b /dev/vda ] && [ $i -lt 500 ]; do
    sleep 0.01
    i=$((i + 1))
done
/usr/bin/tar -C / --keep-directory-symlink -xf /dev/vda
exec /usr/lib/mckernel-rs/guest-init
