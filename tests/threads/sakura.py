#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about the web server that posts its request handlers, and about what posted work leaves behind."""

import os
import signal
import subprocess
import threading
import urllib.error
import urllib.request

from scene import claim, idle_usage, mcreboot, nothing_is_left_of, make_healthy, program, run_all, start, usage, wait_until

CONNECTIONS = 40
FOLDER = "/root/www"
FILES = {"small": b"hello\n", "large": bytes(range(256)) * 4000}


def serve(*launcher):
    """Starts the server; the process and its port."""
    process = subprocess.Popen([*launcher, program("webserver"), "0", str(CONNECTIONS)], cwd=FOLDER,
                               stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline().split()[1])


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def answers_of(*launcher):
    process, port = serve(*launcher)
    paths = (["small", "large", "missing", "a/../../etc/passwd"] * CONNECTIONS)[:CONNECTIONS]
    answers = [None] * CONNECTIONS

    def ask(first):
        for i in range(first, CONNECTIONS, 8):
            answers[i] = get(port, paths[i])

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert process.wait(timeout=60) == 0
    return answers


@claim
def web_server_answers_as_natively():
    os.makedirs(FOLDER, exist_ok=True)
    for name, content in FILES.items():
        with open(f"{FOLDER}/{name}", "wb") as file:
            file.write(content)
    native = answers_of()
    assert [status for status, _ in native[:4]] == [200, 200, 404, 403], native[:4]
    assert native[1][1] == FILES["large"]
    assert answers_of("mcexec") == native


@claim
def killed_with_servers_leaves_nothing_behind():
    before = idle_usage()
    process = start("mcexec", program("webserver"), "0")
    wait_until(lambda: usage()["threads"] > before["threads"] + 1, "servers are there")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    nothing_is_left_of(before)


mcreboot()
run_all(make_healthy)
