# SPDX-License-Identifier: GPL-2.0
# The guest's half of `cargo xtask bench`: KIND:NAME… → lines "NAME PHASE NANOSECONDS CALLS BATCHES", PHASE native (once
# before and once after) or ours. Linux's side stays on CPU 0, the program on the co-kernel's first CPU, but for rows
# about threads.
set -eu
programs=/usr/local/lib/mckernel-tests
pin="taskset -c 0"

phase() { # PHASE RUNNER… — runs it and passes on the figures it prints after its own name
    local phase=$1 figures
    shift
    read -r _ figures < <("$@")
    echo "$name $phase $figures"
}

for item in "$@"; do
    kind=${item%%:*} name=${item#*:}
    case $kind in
    program)
        phase native $pin $programs/bench "$name"
        phase ours $pin mcexec $programs/bench "$name"
        phase native $pin $programs/bench "$name" ;;
    threads)
        phase native $programs/bench "$name"
        phase ours mcexec $programs/bench "$name"
        phase native $programs/bench "$name" ;;
    launch)
        phase native $pin $programs/launch 21 $programs/hello_static
        phase ours $pin $programs/launch 21 "$(command -v mcexec)" $programs/hello_static
        phase native $pin $programs/launch 21 $programs/hello_static ;;
    spawn)
        phase native $pin $programs/launch 21 $programs/hello_static
        phase ours $pin mcexec $programs/launch 21 $programs/hello_static
        phase native $pin $programs/launch 21 $programs/hello_static ;;
    boot)
        ihkosctl 0 shutdown
        phase ours $programs/launch 1 "$(command -v ihkosctl)" 0 boot ;;
    esac
done
