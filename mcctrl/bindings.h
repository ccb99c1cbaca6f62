/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel's own Rust bindings leave out and mcctrl needs. */
#include <linux/anon_inodes.h>
#include <linux/binfmts.h>
#include <linux/hmm.h>
#include <linux/hrtimer.h>
#include <linux/mman.h>
#include <linux/sched/jobctl.h>
#include <linux/shmem_fs.h>
