# SPDX-License-Identifier: GPL-2.0
# The guest's half of an experiment of `cargo xtask bench`: CURVE COMMAND… → the lines each command prints, after its
# curve's name and a tab.
set -eu -o pipefail
export programs=/usr/local/lib/mckernel-tests

while [ $# -gt 0 ]; do
    bash -eu -o pipefail -c "$2" >/tmp/points || { echo "$1: $2: status $?" >&2; exit 1; }
    sed "s|^|$1\t|" /tmp/points
    shift 2
done
