# SPDX-License-Identifier: GPL-2.0
# Makes, in the current folder, the files that the rows of commands.txt find in theirs.
set -e
for i in $(seq 60); do echo "alpha beta$((i % 7)) gamma$i"; echo "repeated line $((i / 5))"; done >text.txt
seq 1 20000 >numbers.txt
perl -e 'my $x = 1; for (1 .. 262144) { $x = ($x * 1103515245 + 12345) & 0x7fffffff; print pack "V", $x }' >numbers.bin
head -c 1048576 /dev/zero >zeros.bin
tar -cf archive.tar --sort=name --mtime=@0 -C /usr/share/common-licenses .
gzip -nk archive.tar
chmod 644 ./*
touch -d @1000000000 ./*
