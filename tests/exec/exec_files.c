// SPDX-License-Identifier: GPL-2.0
// Claims about files that are executed by descriptor, in memory, without a name, or only asked about. The current folder
// is empty.
#define _GNU_SOURCE
#include "claims.h"
#include "described.h"
#include <sys/fanotify.h>
#include <sys/mman.h>

/* Of newer headers. */
#define EXECVE_CHECK 0x10000
#define NOEXEC_SEAL 8U

static const char script[] = "#!/bin/sh\necho script ${0%/*} $1 $#\n";
static char *argv[] = {"name", "one", NULL};

static void by_descriptor(const char *name, int file)
{
	IN_CHILD(name, fexecve(file, argv, environ); say("%s: %m", name); _exit(1));
}

static void by_path(const char *name, const char *format, int file)
{
	char path[64];

	snprintf(path, sizeof(path), format, file);
	IN_CHILD(name, execve(path, argv, environ); say("%s: %m", name); _exit(1));
}

static void at(const char *name, int directory, const char *path, int flags)
{
	IN_CHILD(name, syscall(SYS_execveat, directory, path, argv, environ, flags); say("%s: %m", name); _exit(1));
}

/* A file in memory with the contents of the program. */
static int in_memory(const char *name, unsigned int flags, const char *path)
{
	static char bytes[4 << 20];
	int file = memfd_create(name, flags);
	ssize_t length = path ? (ssize_t)read_file(path, bytes, sizeof(bytes)) : 0;

	if (file < 0)
		say("memfd_create: %m");
	if (length && write(file, bytes, length) != length)
		say("write: %m");
	return file;
}

static void programs_in_memory_run(void)
{
	int kept = in_memory("kept", 0, EXECUTED), closed = in_memory("closed", MFD_CLOEXEC, EXECUTED);
	int sealed = in_memory("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING, EXECUTED), data = in_memory("data", NOEXEC_SEAL, EXECUTED);
	int dynamic = in_memory("dynamic", MFD_CLOEXEC, "/bin/true"), empty = in_memory("empty", MFD_CLOEXEC, NULL);

	REPORT(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	by_descriptor("kept", kept);
	by_descriptor("closed", closed);
	by_descriptor("sealed", sealed);
	by_descriptor("data", data);
	by_descriptor("dynamic", dynamic);
	by_descriptor("empty", empty);
	by_path("kept by path", "/proc/self/fd/%d", kept);
	by_path("closed by path", "/proc/self/fd/%d", closed);
	by_path("closed by device", "/dev/fd/%d", closed);
	/* Nobody writes what is executed, and it is nobody's afterwards. */
	REPORT(write(kept, "", 1));
	REPORT(ftruncate(closed, 64));
	by_descriptor("truncated", closed);
}

static void scripts_by_descriptor_need_it(void)
{
	int kept = memfd_create("script", 0), closed = memfd_create("script", MFD_CLOEXEC);

	make("script", script, strlen(script), 0755);
	REPORT(write(kept, script, strlen(script)));
	REPORT(write(closed, script, strlen(script)));
	by_descriptor("memory", kept);
	by_descriptor("memory, closed", closed);
	by_descriptor("file", open("script", O_RDONLY));
	by_descriptor("file, closed", open("script", O_RDONLY | O_CLOEXEC));
	by_descriptor("path", open("script", O_PATH));
	by_path("by path", "/proc/self/fd/%d", kept);
	by_path("by path, closed", "/proc/self/fd/%d", closed);
	at("in a folder", open(".", O_PATH), "script", 0);
	at("in a folder that is closed", open(".", O_PATH | O_CLOEXEC), "script", 0);
	at("in the current one", AT_FDCWD, "script", 0);
}

static void files_without_their_name_run(void)
{
	copy(EXECUTED, "gone", 0755);
	copy("/bin/true", "new", 0755);
	int gone = open("gone", O_RDONLY | O_CLOEXEC), path = open("gone", O_PATH | O_CLOEXEC);

	REPORT(unlink("gone"));
	by_descriptor("gone", gone);
	by_descriptor("gone, as a path", path);
	by_path("gone, by path", "/proc/self/fd/%d", gone);
	copy(EXECUTED, "old", 0755);
	int old = open("old", O_RDONLY | O_CLOEXEC);

	REPORT(rename("new", "old"));
	by_descriptor("replaced", old);
	by_path("the new one", "old", 0);
	int unnamed = open(".", O_TMPFILE | O_RDWR, 0755);

	REPORT_WHETHER(unnamed);
	by_descriptor("unnamed, and writable", unnamed);
}

static void names_count_from_the_folder(void)
{
	copy(EXECUTED, "program", 0755);
	REPORT(symlink("program", "link"));
	REPORT(mkdir("folder", 0700));
	int here = open(".", O_PATH), folder = open("folder", O_RDONLY | O_DIRECTORY), file = open("program", O_RDONLY);

	at("here", here, "program", 0);
	at("above", folder, "../program", 0);
	at("a link", here, "link", 0);
	at("no link is followed", here, "link", AT_SYMLINK_NOFOLLOW);
	at("this is none", here, "program", AT_SYMLINK_NOFOLLOW);
	at("a link itself", open("link", O_PATH | O_NOFOLLOW), "", AT_EMPTY_PATH);
	at("an absolute path", 99, EXECUTED, 0);
	at("no descriptor", 99, "program", 0);
	at("no folder", file, "program", 0);
	at("nothing there", here, "nothing", 0);
	at("an empty path", file, "", 0);
	at("the file itself", file, "", AT_EMPTY_PATH);
	at("the current folder itself", AT_FDCWD, "", AT_EMPTY_PATH);
	at("unknown flags", here, "program", 0x40000000);
}

static void what_is_no_program_is_refused(void)
{
	int pipes[2];

	copy(EXECUTED, "program", 0755);
	REPORT(pipe(pipes));
	by_descriptor("pipe", pipes[0]);
	by_descriptor("folder", open(".", O_RDONLY));
	by_descriptor("device", open("/dev/null", O_RDWR));
	by_descriptor("not open", 99);
	by_descriptor("for writing", open("program", O_WRONLY));
	copy(EXECUTED, "data", 0644);
	by_descriptor("no right", open("data", O_RDONLY));
	by_descriptor("no right by path", open("data", O_PATH));
}

static void check(const char *name, int directory, const char *path, int flags)
{
	errno = 0;
	say_result(name, syscall(SYS_execveat, directory, path, argv, environ, flags | EXECVE_CHECK));
}

static void a_question_whether_it_may_run_runs_nothing(void)
{
	copy(EXECUTED, "program", 0755);
	copy(EXECUTED, "data", 0644);
	make("garbage", "garbage", 7, 0755);
	make("script", script, strlen(script), 0755);
	check("program", AT_FDCWD, "program", 0);
	check("data", AT_FDCWD, "data", 0);
	check("garbage", AT_FDCWD, "garbage", 0);
	check("script", AT_FDCWD, "script", 0);
	check("nothing", AT_FDCWD, "nothing", 0);
	check("folder", AT_FDCWD, ".", 0);
	check("own", AT_FDCWD, "/proc/self/exe", 0);
	check("memory", in_memory("memory", MFD_CLOEXEC, EXECUTED), "", AT_EMPTY_PATH);
	check("script by descriptor", open("script", O_RDONLY | O_CLOEXEC), "", AT_EMPTY_PATH);
	check("data in memory", in_memory("memory", NOEXEC_SEAL, EXECUTED), "", AT_EMPTY_PATH);
	at("and now it runs", AT_FDCWD, "program", 0);
}

/* Says of which files of the current folder and of which libraries an execution was announced. */
static void say_executions(int group)
{
	char events[4096], link[64], path[4096];
	ssize_t length = read(group, events, sizeof(events));

	for (struct fanotify_event_metadata *event = (void *)events; FAN_EVENT_OK(event, length); event = FAN_EVENT_NEXT(event, length)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", event->fd);
		ssize_t end = readlink(link, path, sizeof(path) - 1);

		path[end < 0 ? 0 : end] = 0;
		say("event %llx, file %s", (unsigned long long)event->mask, path);
		close(event->fd);
	}
	if (length < 0)
		say("no event: %s", strerrorname_np(errno));
}

static void watchers_hear_of_each_execution(void)
{
	int group = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC);

	REPORT(mkdir("watched", 0755));
	copy(EXECUTED, "watched/program", 0755);
	copy("/bin/true", "watched/dynamic", 0755);
	make("watched/script", script, strlen(script), 0755);
	copy("/bin/sh", "watched/shell", 0755);
	make("watched/own", "#!watched/shell\nexit 5\n", 24, 0755);
	make("watched/data", "data", 4, 0755);
	for (const char *const *name = (const char *const[]){"program", "dynamic", "script", "own", "data", NULL}; *name; name++) {
		char path[64];

		/* What copying and the file before have left is not waited for. */
		REPORT(fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_EXEC | FAN_EVENT_ON_CHILD, AT_FDCWD, "watched"));
		snprintf(path, sizeof(path), "watched/%s", *name);
		at(*name, AT_FDCWD, path, 0);
		say_executions(group);
		REPORT(fanotify_mark(group, FAN_MARK_REMOVE, FAN_OPEN_EXEC | FAN_EVENT_ON_CHILD, AT_FDCWD, "watched"));
	}
	close(group);
}

static const struct claim claims[] = {
	CLAIM(programs_in_memory_run),
	CLAIM(watchers_hear_of_each_execution),
	CLAIM(scripts_by_descriptor_need_it),
	CLAIM(files_without_their_name_run),
	CLAIM(names_count_from_the_folder),
	CLAIM(what_is_no_program_is_refused),
	CLAIM(a_question_whether_it_may_run_runs_nothing),
};

int main(int argc, char **arguments)
{
	return RUN_CLAIMS(claims, argc, arguments);
}
