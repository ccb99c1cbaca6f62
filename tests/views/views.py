#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about what programs see of themselves and of the machine in /proc and /sys. Where the two can agree, native
Linux in the same boot says what is right."""

import os
import re
import shutil

from scene import check, claim, make_healthy, program, run, run_all, start, wait_until

CORES = 2


def ours(script, *arguments, status=0, **options):
    """Runs a Python script on the co-kernel; its stdout."""
    result = run("mcexec", "/usr/bin/python3", "-c", script, *arguments, **options)
    assert result.returncode == status, result
    return result.stdout


def holds(script, *arguments, **options):
    """Runs a Python script whose assertions have to hold on the co-kernel."""
    return ours("import os, sys\nread = lambda path: open(path).read()\n" + script, *arguments, **options)


@claim
def maps_list_the_programs_own_areas_with_file_names():
    names = {"/usr/bin/cat", "libc.so.6", "ld-linux-x86-64.so.2", "[heap]", "[stack]", "[vdso]"}
    for launcher in ([], ["mcexec"]):
        lines = check(*launcher, "cat", "/proc/self/maps").splitlines()
        text = "\n".join(lines)
        assert all(name in text for name in names), text
        assert "mcexec" not in text and "mcos" not in text, text
        form = re.compile(r"[0-9a-f]{8,16}-[0-9a-f]{8,16} [r-][w-][x-][ps] [0-9a-f]{8} [0-9a-f]{2,}:[0-9a-f]{2} \d+ ( *\S.*)?")
        assert all(form.fullmatch(line) for line in lines), text
        starts = [int(line.split("-")[0], 16) for line in lines]
        assert starts == sorted(starts), text
    native = {line.split(maxsplit=5)[5]: line.split()[3:5] for line in check("cat", "/proc/self/maps").splitlines() if "/" in line}
    for line in lines:
        if "/" in line and "/locale/" not in line:
            assert native[line.split(maxsplit=5)[5]] == line.split()[3:5], line


@claim
def maps_follow_what_the_program_maps():
    holds("""
import mmap, ctypes
block = mmap.mmap(-1, 5 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
block[0] = 1
address = ctypes.addressof(ctypes.c_char.from_buffer(block))
def covering():
    for line in read("/proc/self/maps").splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if start <= address < end:
            return line, end
line, end = covering()
assert line.split()[1] == "rw-p" and end >= address + (5 << 20), line
file = open("/usr/bin/python3", "rb")
image = mmap.mmap(file.fileno(), 8192, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ, offset=4096)
found = [line for line in read("/proc/self/maps").splitlines() if "r--p 00001000" in line and "bin/python3" in line]
assert any(line.split()[4] == str(os.stat("/usr/bin/python3").st_ino) for line in found), found
open("shared", "wb").write(bytes(16384))
file = open("shared", "r+b")
image = mmap.mmap(file.fileno(), 8192, offset=4096)
image[0] = 1
found = [line for line in read("/proc/self/maps").splitlines() if line.endswith("/shared")]
assert len(found) == 1 and found[0].split()[1:3] == ["rw-s", "00001000"] and found[0].split()[4] == str(os.stat("shared").st_ino), found
""")


@claim
def memory_numbers_are_the_programs_own():
    holds("""
def numbers():
    status = dict(line.split(":\\t", 1) for line in read("/proc/self/status").splitlines())
    kib = lambda name: int(status[name].split()[0])
    statm = [int(field) * 4 for field in read("/proc/self/statm").split()]
    stat = read("/proc/self/stat").rsplit(") ", 1)[1].split()
    assert abs(kib("VmSize") - int(stat[20]) // 1024) < 2048 and abs(kib("VmSize") - statm[0]) < 2048, (status, statm, stat)
    assert abs(kib("VmRSS") - int(stat[21]) * 4) < 2048 and abs(kib("VmRSS") - statm[1]) < 2048
    rollup = dict(line.split(":") for line in read("/proc/self/smaps_rollup").splitlines()[1:])
    assert abs(int(rollup["Rss"].split()[0]) - kib("VmRSS")) < 2048
    each = [int(line.split()[1]) for line in read("/proc/self/smaps").splitlines() if line.startswith("Rss:")]
    assert abs(sum(each) - kib("VmRSS")) < 2048, (sum(each), kib("VmRSS"))
    return kib("VmSize"), kib("VmRSS"), kib("VmHWM")
before = numbers()
block = bytearray(64 << 20)
during = numbers()
assert 60000 < during[0] - before[0] < 80000 and 60000 < during[1] - before[1] < 80000, (before, during)
del block
after = numbers()
assert after[1] < before[1] + 8000 and after[2] >= during[1] - 2048, (before, during, after)
""")


@claim
def threads_are_the_programs_own():
    holds("""
import threading
def seen():
    status = dict(line.split(":\\t", 1) for line in read("/proc/self/status").splitlines())
    return int(status["Threads"]), len(os.listdir("/proc/self/task")), int(read("/proc/self/stat").rsplit(") ", 1)[1].split()[17])
assert seen() == (1, 1, 1), seen()
go = threading.Event()
threads = [threading.Thread(target=go.wait) for _ in range(3)]
for thread in threads: thread.start()
assert seen() == (4, 4, 4), seen()
ids = sorted(int(name) for name in os.listdir("/proc/self/task"))
assert ids == sorted([os.getpid()] + [thread.native_id for thread in threads])
for tid in ids:
    assert read(f"/proc/self/task/{tid}/stat").startswith(f"{tid} (")
    assert f"Pid:\\t{tid}\\n" in read(f"/proc/{os.getpid()}/task/{tid}/status")
go.set()
for thread in threads: thread.join()
# A thread that Python has joined may still be on its way out.
import time
end = time.monotonic() + 10
while seen() != (1, 1, 1):
    assert time.monotonic() < end, seen()
    time.sleep(0.01)
""")


@claim
def python_does_not_warn_of_fork():
    script = "import os\npid = os.fork()\nif pid == 0: os._exit(7)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    result = run("mcexec", "/usr/bin/python3", "-W", "error", "-c", script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "7\n", ""), result


@claim
def every_form_of_a_path_leads_to_the_same_view():
    holds("""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
whole = lambda fd: (os.lseek(fd, 0, 0), os.read(fd, 1 << 20))[1].decode()
def is_ours(fd, form):
    text = whole(fd)
    assert "[heap]" in text and "mcexec" not in text, (form, text)
    os.close(fd)
pid = os.getpid()
os.makedirs("links", exist_ok=True)
for name, target in (("file", "/proc/self/maps"), ("dir", "/proc/self"), ("proc", "/proc")):
    if not os.path.islink("links/" + name): os.symlink(target, "links/" + name)
forms = ["/proc/self/maps", "/proc/thread-self/maps", f"/proc/{pid}/maps", f"/proc/{pid}/task/{pid}/maps", "/proc/self/../self/./maps",
         f"/proc//{pid}///maps", "links/file", "links/dir/maps", "links/proc/self/maps", f"/proc/1/../{pid}/maps", "/proc/self/cwd/links/file",
         "/proc/self/root/proc/self/maps", "/dev/../proc/self/task/../maps"]
for form in forms:
    is_ours(os.open(form, os.O_RDONLY), form)
directory = os.open("/proc/self", os.O_RDONLY)
is_ours(os.open("maps", os.O_RDONLY, dir_fd=directory), "openat")
class How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]
how = How(0, 0, 8)
is_ours(libc.syscall(437, directory, b"maps", ctypes.byref(how), 24), "openat2")
handle = os.open("maps", os.O_PATH, dir_fd=directory)
is_ours(os.open(f"/proc/self/fd/{handle}", os.O_RDONLY), "path descriptor")
os.chdir("/proc/self/task")
is_ours(os.open("../maps", os.O_RDONLY), "relative")
exe = os.path.realpath("/usr/bin/python3")
for form in ("/proc/self/exe", "/proc/thread-self/exe", f"/proc/{pid}/exe", "../exe", "/proc/self/../self/exe", "/proc/self/cwd/../exe"):
    assert os.readlink(form) == exe and os.stat(form) == os.stat(exe), form
assert os.readlink("exe", dir_fd=directory) == exe and os.stat("exe", dir_fd=directory) == os.stat(exe)
assert os.lstat("/proc/self/exe").st_size == 0
""")


@claim
def views_behave_like_files_of_proc():
    holds("""
import errno, fcntl
fd = os.open("/proc/self/maps", os.O_RDONLY | os.O_CLOEXEC)
assert fd == 3 and fcntl.fcntl(fd, fcntl.F_GETFD) == fcntl.FD_CLOEXEC
text = os.read(fd, 1 << 20)
assert os.pread(fd, 100, 50) == text[50:150] and os.read(fd, 10) == b""
os.lseek(fd, 7, 0)
assert os.read(fd, 9) == text[7:16]
for attempt in (lambda: os.write(fd, b"x"), lambda: os.open("/proc/self/nothing", os.O_RDONLY), lambda: os.open("/proc/self/stat/x", os.O_RDONLY)):
    try:
        attempt()
        raise AssertionError
    except OSError as error:
        assert error.errno in (errno.EBADF, errno.ENOENT, errno.ENOTDIR), error
os.close(fd)
assert open(os.open("/proc/self/stat", os.O_RDONLY)).read().endswith("\\n")
""")


@claim
def reading_from_the_beginning_again_tells_the_present():
    holds("""
statm = os.open("/proc/self/statm", os.O_RDONLY)
size = lambda text: int(text.split()[0])
first = size(os.read(statm, 100))
block = bytearray(32 << 20)
os.lseek(statm, 0, 0)
second = size(os.read(statm, 100))
assert 7000 < second - first < 10000, (first, second)
del block
third = size(os.pread(statm, 100, 0))
assert third < second - 7000, (second, third)
""")


@claim
def command_line_and_environment_are_the_programs():
    environment = dict(os.environ, MARK="a b")
    for launcher in ([], ["mcexec"]):
        shell, self = check(*launcher, "sh", "-c", "cat /proc/$$/cmdline; echo; cat /proc/self/cmdline; true", env=environment).split("\n")
        assert shell == "sh\0-c\0cat /proc/$$/cmdline; echo; cat /proc/self/cmdline; true\0", shell
        assert self == "cat\0/proc/self/cmdline\0", self
        text = check(*launcher, "sh", "-c", "exec cat /proc/self/environ", env=environment)
        assert "MARK=a b\0" in text and "MCEXEC" not in text, text
    natively, here = (check(*launcher, "env", "-i", "A=1", "cat", "/proc/self/environ") for launcher in ([], ["mcexec"]))
    assert natively == here == "A=1\0", (natively, here)


@claim
def auxiliary_vector_is_the_programs():
    holds("""
import ctypes, struct
libc = ctypes.CDLL(None)
libc.getauxval.restype = ctypes.c_ulong
libc.getauxval.argtypes = [ctypes.c_ulong]
data = open("/proc/self/auxv", "rb").read()
pairs = list(struct.iter_unpack("=QQ", data))
keys = [key for key, _ in pairs]
assert 3 in keys and 9 in keys and 33 in keys and keys[-1] == 0, pairs
for key, value in pairs:
    if key not in (0, 16):
        assert libc.getauxval(key) == value, (key, value)
""")


@claim
def natively_a_program_is_seen_under_its_own_name():
    running = start("mcexec", "sleep", "77")
    try:
        show = lambda what: check("ps", "-o", what, "--no-headers", "-p", str(running.pid)).strip()
        wait_until(lambda: show("comm=") == "sleep", "its name")
        assert show("args=") == "sleep 77", show("args=")
        assert check("pgrep", "-x", "-f", "sleep 77").split() == [str(running.pid)]
    finally:
        running.kill()
        running.wait()


@claim
def other_programs_of_the_cokernel_are_seen_as_they_are():
    running = start("mcexec", program("counter"), "20")
    try:
        wait_until(lambda: "counter" in check("ps", "-o", "comm=", "-p", str(running.pid)), "its name")
        holds("""
pid = sys.argv[1]
maps = read(f"/proc/{pid}/maps")
assert "[stack]" in maps and "mcos" not in maps, maps
status = dict(line.split(":\\t", 1) for line in read(f"/proc/{pid}/status").splitlines())
assert status["Threads"] == str(len(os.listdir(f"/proc/{pid}/task"))) and int(status["VmSize"].split()[0]) < 1 << 20, status
""", str(running.pid))
        text = holds("print(read('/proc/1/status'), end='')")
        assert "Name:\tinit" in text or "Name:" in text, text
    finally:
        running.kill()
        running.wait()


@claim
def processor_and_memory_files_are_the_cokernels():
    holds("""
cpus = int(sys.argv[1])
info = read("/proc/cpuinfo")
assert [line.split(":")[1].strip() for line in info.splitlines() if line.startswith("processor")] == [str(n) for n in range(cpus)], info
lines = [line.split() for line in read("/proc/stat").splitlines() if line.startswith("cpu")]
assert [line[0] for line in lines] == ["cpu"] + [f"cpu{n}" for n in range(cpus)], lines
memory = dict(line.split(":") for line in read("/proc/meminfo").splitlines())
kib = lambda name: int(memory[name].split()[0])
assert 500 << 10 < kib("MemTotal") <= 512 << 10 and kib("MemFree") <= kib("MemTotal"), memory
assert os.sysconf("SC_PHYS_PAGES") * 4 == kib("MemTotal"), os.sysconf("SC_PHYS_PAGES")
assert abs(os.sysconf("SC_AVPHYS_PAGES") * 4 - kib("MemFree")) < 8192
""", str(CORES))


@claim
def processors_in_sys_are_the_cokernels():
    assert check("mcexec", "nproc") == f"{CORES}\n" == check("mcexec", "getconf", "_NPROCESSORS_ONLN")
    assert check("mcexec", "getconf", "_NPROCESSORS_CONF") == f"{CORES}\n"
    listed = [line.split(",")[:3] for line in check("mcexec", "lscpu", "-p").splitlines() if not line.startswith("#")]
    assert [line[0] for line in listed] == ["0", "1"] and len({line[1] for line in listed}) == CORES, listed
    native = dict(line.split(":", 1) for line in check("lscpu").splitlines() if ":" in line)
    here = dict(line.split(":", 1) for line in check("mcexec", "lscpu").splitlines() if ":" in line)
    assert here["CPU(s)"].strip() == str(CORES) and here["On-line CPU(s) list"].strip() in ("0-1", "0,1"), here
    caches = [int(text.split("(")[1].split()[0]) for text in (native["L1d cache"], here["L1d cache"])]
    assert caches[1] == min(caches[0], CORES), (native, here)
    assert here["Model name"] == native["Model name"] and here["Core(s) per socket"].strip() == str(CORES), here
    holds("""
base = "/sys/devices/system/cpu"
for name in ("online", "possible", "present"):
    assert read(f"{base}/{name}") == "0-1\\n", read(f"{base}/{name}")
names = [name for name in os.listdir(base) if name[:3] == "cpu" and name[3:].isdigit()]
assert sorted(names) == ["cpu0", "cpu1"], names
assert os.cpu_count() == 2 and not os.path.exists(base + "/cpu2") and os.path.isdir(base + "/cpu1/topology")
core = read(base + "/cpu1/topology/core_id")
directory = os.open(base + "/cpu1", os.O_RDONLY)
assert open(os.open("topology/core_id", os.O_RDONLY, dir_fd=directory)).read() == core
assert open(os.open("../cpu1/./topology/core_id", os.O_RDONLY, dir_fd=directory)).read() == core
os.chdir("/sys/devices/system")
assert read("cpu/cpu1/topology/core_id") == core and read("node/../cpu/online") == "0-1\\n"
assert os.stat("cpu/cpu1").st_mode == os.stat(directory).st_mode
os.chdir("cpu")
assert read("cpu1/topology/core_id") == core and read("online") == "0-1\\n"
assert read("/sys/bus/../devices/system//cpu/online") == "0-1\\n"
assert read("/sys/devices/system/node/online") == "0\\n" and read("/sys/devices/system/node/node0/cpulist") == "0-1\\n"
assert read("/sys/bus/cpu/devices/cpu0/topology/thread_siblings_list") == "0\\n"
assert os.path.isdir("/sys/kernel") and os.path.exists("/sys/devices/system/clocksource")
""")


@claim
def cpu_time_is_the_time_on_the_cokernel():
    holds("""
import time, resource, threading
used = lambda who: (lambda usage: usage.ru_utime)(resource.getrusage(who))
def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end: pass
begin, wall = (time.process_time(), used(resource.RUSAGE_SELF), os.times().user), time.monotonic()
compute(0.5)
end, wall = (time.process_time(), used(resource.RUSAGE_SELF), os.times().user), time.monotonic() - wall
for before, after in zip(begin, end):
    assert 0.3 < after - before <= wall + 0.05, (begin, end, wall)
begin = time.process_time()
time.sleep(0.5)
assert time.process_time() - begin < 0.2
begin, other = time.thread_time(), threading.Thread(target=compute, args=(0.3,))
other.start(); other.join()
assert time.thread_time() - begin < 0.2
pid = os.fork()
if pid == 0:
    compute(0.4)
    os.execv("/usr/bin/python3", ["python3", "-S", "-c", "import time\\nwhile time.process_time() < 0.8: pass"])
os.waitpid(pid, 0)
assert 0.7 < used(resource.RUSAGE_CHILDREN) < 3, used(resource.RUSAGE_CHILDREN)
assert os.times().children_user > 0.7
block = bytearray(100 << 20)
assert 100 << 10 < resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 200 << 10
""")


CRASH = r"""
import ctypes, os, resource, signal, sys, threading
kind, size, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
os.chdir(directory)
resource.setrlimit(resource.RLIMIT_CORE, (size, resource.RLIM_INFINITY))
mark = ctypes.create_string_buffer(b"memory of the crashed " + b"program", 64)
lazy = __import__("mmap").mmap(-1, 256 << 20, flags=0x4022)
kept, omitted = (__import__("mmap").mmap(-1, 4096, flags=0x22) for _ in range(2))
for area, factor in ((kept, 41), (omitted, 37)):
    area.madvise(16) # MADV_DONTDUMP
    for at in range(64): area[at] = (at * factor + 7) % 256
kept.madvise(17)
pid = os.fork()
if pid == 0:
    threads = [threading.Thread(target=signal.pause, daemon=True) for _ in range(2)]
    for thread in threads: thread.start()
    if kind == "SEGV": ctypes.string_at(0x4711)
    if kind == "ABRT": os.abort()
    os.kill(os.getpid(), getattr(signal, "SIG" + kind))
    os._exit(1)
status = os.waitpid(pid, 0)[1]
print(os.WTERMSIG(status), os.WCOREDUMP(status), pid)
"""


def crash(launcher, kind, size, directory):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    number, dumped, pid = check(*launcher, "/usr/bin/python3", "-c", CRASH, kind, str(size), directory).split()
    return number, dumped, pid, sorted(os.listdir(directory))


def with_pattern(pattern, body):
    path = "/proc/sys/kernel/core_pattern"
    with open(path) as file:
        before = file.read()
    try:
        with open(path, "w") as file:
            file.write(pattern)
        body()
    finally:
        with open(path, "w") as file:
            file.write(before)


@claim
def a_core_is_left_where_and_when_linux_leaves_one():
    def body():
        for kind, size in (("SEGV", -1), ("ABRT", 1 << 20), ("QUIT", 0), ("SEGV", 100), ("TERM", -1)):
            name = f"/tmp/cores.{kind}.{size}"
            natively = crash([], kind, size, name + ".native")
            here = crash(["mcexec"], kind, size, name + ".here")
            nameless = [(number, dumped, [file.replace(pid, "PID") for file in files]) for number, dumped, pid, files in (natively, here)]
            assert nameless[0] == nameless[1], (kind, size, nameless)
            for file in here[3]:
                length = os.stat(f"{name}.here/{file}").st_blocks * 512
                assert size < 0 or length <= size + 8192, (file, length)
                assert length < 100 << 20, length
    with_pattern("core.%e.%s.%p", body)


@claim
def a_core_can_be_opened_by_a_debugger():
    def body():
        pid = crash(["mcexec"], "SEGV", -1, "/tmp/cores.gdb")[2]
        told = check("gdb", "-q", "-batch", "-ex", "info threads", "-ex", "info registers rip rsp", "-ex", "x/i $rip", "-ex", "bt 3",
                     "-ex", "info auxv", "-ex", "p $_siginfo._sifields._sigfault.si_addr", "/usr/bin/python3", f"/tmp/cores.gdb/core.{pid}")
        assert "Program terminated with signal SIGSEGV" in told, told
        assert told.count("LWP") >= 3 and "0x4711" in told, told
        assert "AT_ENTRY" in told and "python3" in told, told
        with open(f"/tmp/cores.gdb/core.{pid}", "rb") as core:
            content = core.read()
        assert b"memory of the crashed program" in content
        kept, omitted = (bytes((at * factor + 7) % 256 for at in range(64)) for factor in (41, 37))
        assert kept in content and omitted not in content
    with_pattern("core.%p", body)


def quietly(*argv):
    return run("timeout", "-s", "KILL", "20", *argv)


@claim
def tracing_is_refused_or_harmless():
    natively_traced = start("mcexec", "sleep", "60")
    try:
        wait_until(lambda: check("ps", "-o", "comm=", "-p", str(natively_traced.pid)).strip() == "sleep", "its name")
        result = run("timeout", "3", "strace", "-f", "-p", str(natively_traced.pid))
        assert result.returncode in (0, 124, 130, 143), result
        result = quietly("gdb", "-q", "-batch", "-p", str(natively_traced.pid), "-ex", "info threads")
        assert result.returncode == 0 and "LWP" in result.stdout, result
        assert natively_traced.poll() is None
    finally:
        natively_traced.kill()
        natively_traced.wait()
    result = quietly("mcexec", "strace", "true")
    assert result.returncode != 0 and "Function not implemented" in result.stderr, result
    result = quietly("mcexec", "gdb", "-q", "-batch", "-ex", "run", "/usr/bin/true")
    assert result.returncode != -9, result
    check("mcexec", "true")


run_all(make_healthy)
