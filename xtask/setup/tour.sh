#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The guided tour of `cargo xtask demo`: runs in the guest, after mcreboot. Ends with the first failure.
set -eu
say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
show() {
    printf '$ %s\n' "$*"
    "$@"
}

say "A stock Debian kernel, with two modules loaded and some of its cores and memory lent out:"
show uname -sr
show cat /sys/devices/system/cpu/online
show ihkosctl 0 get status
show ihkosctl 0 query cpu
show ihkosctl 0 query mem
say "The co-kernel that runs there, in its own words:"
show ihkosctl 0 kmsg
say "An unmodified Linux program on the co-kernel; its output is a system call done by Linux for it:"
show mcexec /bin/echo "hello from the co-kernel"
say "It sees the co-kernel's cores, not Linux's:"
show nproc
show mcexec nproc
say "Shut down: every core and every byte goes back to Linux:"
show mcstop
show cat /sys/devices/system/cpu/online
