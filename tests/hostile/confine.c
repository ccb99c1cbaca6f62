// SPDX-License-Identifier: GPL-2.0
// confine errno|kill PROGRAM…: executes the program where making folders fails with an error that it never has, or
// ends the process.
// confine crowd: makes processes until one cannot be made, and says why.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 500 };

static int forbid_folders(unsigned int action)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdirat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int crowd(void)
{
	pid_t children[MOST], child = 0;
	int made = 0;
	while (made < MOST && (child = fork()) > 0)
		children[made++] = child;
	if (child == 0)
		return pause();
	puts(child < 0 ? strerror(errno) : "as many as wanted");
	for (int i = 0; i < made; i++)
		kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		continue;
	return 0;
}

int main(int count, char **arguments)
{
	if (count == 2)
		return crowd();
	int kills = strcmp(arguments[1], "kill") == 0;
	if (forbid_folders(kills ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | ENOTTY)) {
		perror("seccomp");
		return 9;
	}
	execvp(arguments[2], arguments + 2);
	perror(arguments[2]);
	return 9;
}
