/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel's own Rust bindings leave out and mcctrl needs. */
#include <linux/anon_inodes.h>
#include <linux/binfmts.h>
#include <linux/hmm.h>
#include <linux/hrtimer.h>
#include <linux/mman.h>
#include <linux/sched/jobctl.h>
#include <linux/shmem_fs.h>
#include <linux/tracepoint.h>

/* Constants that bindgen cannot evaluate. */
#ifdef CONFIG_FANOTIFY_ACCESS_PERMISSIONS
const unsigned int FSNOTIFY_MASK = (unsigned int)FMODE_FSNOTIFY_MASK;
#else
const unsigned int FSNOTIFY_MASK = 0;
#endif

/* Linux 7.3 gives up the denial of writing with the file of `bprm->executable` (`free_bprm`), which Linux 7.2 does not.
 * The flag came with that. */
#ifdef BINPRM_FLAGS_TRANSPARENT_INTERP
const unsigned int EXECUTABLE_IS_DENIED = 1;
#else
const unsigned int EXECUTABLE_IS_DENIED = 0;
#endif
