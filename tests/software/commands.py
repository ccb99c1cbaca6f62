#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs each row of commands.txt natively and then under mcexec and compares status, stdout, stderr and files left behind.

Arguments: the table, and optionally a word that rows must contain. One line per row: `row ok`, or `row FAILED` and how.
With LAUNCHER=env in the environment both runs are native: whether the table itself is sound.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys

from scene import make_healthy

HERE = os.path.dirname(os.path.abspath(__file__))
MASTER, FOLDER, LARGE = "/root/rows.master", "/root/rows", "/root/large.bin"
LARGE_BYTES = 64 << 20
LIMIT_S = 120


def rows(table, word):
    with open(table, encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    return [line for line in lines if line and not line.startswith("#") and word in line]


def make_data():
    os.makedirs(MASTER)
    subprocess.run(["bash", f"{HERE}/commands_data.sh"], cwd=MASTER, check=True)
    with open(f"{MASTER}/numbers.bin", "rb") as numbers, open(LARGE, "wb") as large:
        block = numbers.read()
        for i in range(LARGE_BYTES // len(block)):
            large.write(bytes([i]) + block[1:])


def fresh_folder():
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(MASTER, FOLDER, symlinks=True)
    os.symlink(LARGE, f"{FOLDER}/large.bin")


def files_left():
    """Every path below the folder with its kind, mode, size and content."""
    left = {}
    for folder, folders, files in os.walk(FOLDER):
        for name in folders + files:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            content = os.readlink(path) if os.path.islink(path) else ""
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            left[path] = (oct(about.st_mode), about.st_nlink, content)
    return left


def perform(row, launcher):
    """What the row does with `launcher` in the place of @."""
    fresh_folder()
    line = re.sub(r"(?<![\w=])@(?= )", launcher, row)
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=FOLDER, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )
    try:
        out, error = process.communicate(timeout=LIMIT_S)
        return {"status": process.returncode, "stdout": out, "stderr": error, "files": files_left()}
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, error = process.communicate()
        return {"status": f"none after {LIMIT_S} s", "stdout": out, "stderr": error, "files": None}


def difference(native, ours):
    """How the first thing that differs does; nothing if nothing does."""
    if native["status"] in (126, 127):
        return f"does not run natively: {native['stderr']!r}"
    for what, expected in native.items():
        got = ours[what]
        if expected == got:
            continue
        if isinstance(expected, bytes):
            at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
            return f"{what} differs at byte {at} of {len(expected)}: {expected[at:at + 60]!r}, under mcexec {got[at:at + 160]!r}"
        if isinstance(expected, dict) and isinstance(got, dict):
            paths = sorted(path for path in expected.keys() | got.keys() if expected.get(path) != got.get(path))
            return f"files differ: {', '.join(paths)}"
        return f"{what} {expected!r}, under mcexec {got!r} saying {ours['stderr'][-160:]!r}"
    return None


def main():
    table, word = sys.argv[1], (sys.argv[2:] or [""])[0]
    launcher = os.environ.get("LAUNCHER", "mcexec")
    make_data()
    for row in rows(table, word):
        native = perform(row, "env")
        if launcher == "mcexec":
            make_healthy()
        how = difference(native, perform(row, launcher))
        print(f"row FAILED {row}\n    {how}" if how else f"row ok {row}", flush=True)


main()
