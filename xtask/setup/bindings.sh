#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs inside the build root. Makes Rust bindings for kernel headers that the kernel's own bindings leave out:
# $1 = module folder with bindings.h and bindings.args (one bindgen option and its value per line, # for comments).
set -eu
here=$1
cd /linux
# clang's flags for kernel headers, as the kernel's own bindings were made; dependency files and per-object names go.
flags=$(sed -n '1s/.* -o rust\/bindings\/bindings_generated.rs -- \(.*\) ; sed .*$/\1/p' rust/bindings/.bindings_generated.rs.cmd |
    sed 's/-Wp,-MMD,[^ ]*//; s/-D_*KBUILD_[A-Z]*=[^ ]*//g')
[ -n "$flags" ] || { echo "no flags in .bindings_generated.rs.cmd" >&2; exit 1; }

set --
while read -r option value; do
    case $option in
    '' | '#'*) continue ;;
    esac
    if [ -n "$value" ]; then set -- "$@" "$option" "$value"; else set -- "$@" "$option"; fi
done <"$here/bindings.args"

# shellcheck disable=SC2086 # the flags are words to be split
bindgen "$here/bindings.h" "$@" \
    --blocklist-type 'cpumask|cpumask_t|module|list_head|hlist_node|pt_regs' \
    --raw-line '#[allow(unused_imports)] use ::kernel::bindings::*;' \
    --rust-target 1.85 --use-core --with-derive-default --ctypes-prefix ::kernel::ffi --no-layout-tests --no-doc-comments \
    --enable-function-attribute-detection -o "$here/extra_bindings.rs.tmp" -- $flags -DKBUILD_MODNAME=x
mv "$here/extra_bindings.rs.tmp" "$here/extra_bindings.rs"
