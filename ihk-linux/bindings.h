/* SPDX-License-Identifier: GPL-2.0 */
/* Kernel headers that the kernel's own Rust bindings leave out; bindings.args says what of them is wanted. */
#include <linux/types.h>
#include <linux/panic_notifier.h>
#include <linux/pvclock_gtod.h>
#include <linux/reboot.h>
#include <asm/apic.h>
#include <asm/apicdef.h>
#include <asm/e820/api.h>
