# SPDX-License-Identifier: GPL-2.0
# Runs inside the base tree, with the functions of xtask/src/setup/apt.rs. Fetches the source of one version of Debian's
# kernel and kbuild's tools; /out becomes the cache entry: source/ without what no build of a module reads, kbuild/ with
# the tools that take long to build.
cd /out
unpack tree "$@"
mkdir source
# Kconfig files and makefiles stay, for the configuration is read as a whole.
tar -C source --strip-components=1 --exclude='*/Documentation/*.rst' --exclude='*/Documentation/*.yaml' \
    --exclude='*/Documentation/*.txt' --exclude='*/Documentation/*.svg' --exclude='*/drivers/*.c' \
    --exclude='*/drivers/gpu/*.h' --exclude='*/sound/*.c' --exclude='*/boot/dts/*.dts*' --exclude='*/tools/testing/*' \
    -xf "$(find tree -name 'linux-source-*.tar.*' | head -n 1)"
mv "$(find tree -path '*/linux-kbuild-*/tools' -type d | head -n 1)" kbuild
rm -rf tree
