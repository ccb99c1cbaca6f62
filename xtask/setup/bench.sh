# SPDX-License-Identifier: GPL-2.0
# The guest's half of `cargo xtask bench`: KIND:NAME… → one line "NAME NATIVE_BEFORE NATIVE_AFTER COKERNEL" each, ns;
# "-" where there is no such figure. Linux's side stays on CPU 0, the program on the co-kernel's first CPU, but for rows
# about threads.
set -eu
programs=/usr/local/lib/mckernel-tests
pin="taskset -c 0"

figure() { # RUNNER… — the second word of "bench NAME"'s line
    "$@" | cut -d' ' -f2
}

for item in "$@"; do
    kind=${item%%:*} name=${item#*:}
    case $kind in
    program)
        before=$(figure $pin $programs/bench "$name")
        ours=$(figure $pin mcexec $programs/bench "$name")
        after=$(figure $pin $programs/bench "$name") ;;
    threads)
        before=$(figure $programs/bench "$name")
        ours=$(figure mcexec $programs/bench "$name")
        after=$(figure $programs/bench "$name") ;;
    tasks)
        before=$(figure $pin $programs/tasks "$name")
        ours=$(figure $pin mcexec $programs/tasks "$name")
        after=$(figure $pin $programs/tasks "$name") ;;
    launch)
        before=$($pin $programs/launch 21 $programs/hello_static)
        ours=$($pin $programs/launch 21 "$(command -v mcexec)" $programs/hello_static)
        after=$($pin $programs/launch 21 $programs/hello_static) ;;
    boot)
        before=- after=-
        ihkosctl 0 shutdown
        ours=$($programs/launch 1 "$(command -v ihkosctl)" 0 boot) ;;
    esac
    echo "$name $before $after $ours"
done
