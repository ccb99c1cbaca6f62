#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Makes, in the folder given, one program that works (`good`) and many that only look like programs."""

import os
import struct
import sys

BASE = 0x400000
HEADERS = 64 + 56 * 4
# mov $60,%eax; xor %edi,%edi; syscall
EXIT = b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05"
EXEC, DYN, REL = 2, 3, 1
X86_64, AARCH64 = 62, 183
LOAD, INTERP = 1, 3
READ_EXECUTE = 5


def header(kind=EXEC, machine=X86_64, entry=BASE + HEADERS, count=1, offset=64, entry_bytes=56, ident=b"\x7fELF\x02\x01\x01"):
    return ident.ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, entry, offset, 0, 0, 64, entry_bytes, count, 0, 0, 0)


def segment(kind=LOAD, offset=0, address=BASE, in_file=HEADERS + len(EXIT), in_memory=None, align=4096):
    in_memory = in_file if in_memory is None else in_memory
    return struct.pack("<IIQQQQQQ", kind, READ_EXECUTE, offset, address, address, in_file, in_memory, align)


def image(elf_header, *segments, tail=b""):
    return (elf_header + b"".join(segments)).ljust(HEADERS, b"\0") + EXIT + tail


def interpreted(path):
    name = path + b"\0"
    where = HEADERS + len(EXIT)
    return image(header(count=2), segment(kind=INTERP, offset=where, address=BASE + where, in_file=len(name)), segment(), tail=name)


def programs():
    good = image(header(), segment())
    with open("/usr/lib/ihk/cokernel.elf", "rb") as file:
        cokernel = file.read()
    return {
        "good": good,
        "overlapping_segments": image(header(count=3), segment(), segment(), segment()),
        "entry_outside": image(header(entry=0x700000), segment()),
        "entry_in_kernel": image(header(entry=0xFFFF800000000000), segment()),
        "empty": b"",
        "not_elf": b"\x7fELG" + good[4:],
        "truncated_image": cokernel[: len(cokernel) // 2],
        "truncated_header": good[:40],
        "truncated_program_headers": good[:80],
        "truncated_segment": image(header(), segment(in_file=1 << 20)),
        "other_machine": image(header(machine=AARCH64), segment()),
        "relocatable": image(header(kind=REL), segment()),
        "no_segments": image(header(count=0)),
        "huge_segment": image(header(), segment(in_memory=1 << 46)),
        "file_larger_than_memory": image(header(), segment(in_memory=16)),
        "address_overflow": image(header(), segment(address=(1 << 64) - 4096, in_memory=1 << 20)),
        "kernel_address": image(header(), segment(address=0xFFFF800000000000)),
        "far_program_headers": image(header(offset=(1 << 64) - 8), segment()),
        "program_header_size": image(header(entry_bytes=32), segment()),
        "misaligned_segment": image(header(), segment(offset=1)),
        "missing_interpreter": interpreted(b"/no/such/ld.so"),
        "interpreter_is_no_elf": interpreted(b"/etc/passwd"),
        "script_without_interpreter": b"#!/no/such/interpreter\n",
        "script_that_names_itself": b"#!" + os.path.join(os.getcwd(), sys.argv[1], "script_that_names_itself").encode() + b"\n",
    }


os.makedirs(sys.argv[1], exist_ok=True)
for program_name, content in programs().items():
    path = os.path.join(sys.argv[1], program_name)
    with open(path, "wb") as program:
        program.write(content)
    os.chmod(path, 0o755)
