// SPDX-License-Identifier: GPL-2.0
// `exec_as USER GROUP [WORD…] -- PROGRAM ARGUMENTS…` executes a program as another user. Words are done before, in their
// order; `ids` takes the user and group on, which otherwise happens first.
#define _GNU_SOURCE
#include "described.h"
#include <grp.h>
#include <sys/mount.h>

/* CAP_NET_RAW. */
#define NET_RAW 13

static uid_t user;
static gid_t group;
static int is_done;

static void take_ids(void)
{
	if (!is_done && (setgroups(0, NULL) || setresgid(group, group, group) || setresuid(user, user, user)))
		say("ids: %m");
	is_done = 1;
}

/* Has the capability inherited. */
static void inherit(void)
{
	unsigned int header[2] = {0x20080522, 0}, sets[6] = {0};

	REPORT(syscall(SYS_capget, header, sets));
	sets[0] |= 1 << NET_RAW;
	sets[2] |= 1 << NET_RAW;
	REPORT(syscall(SYS_capset, header, sets));
}

static void prepare(const char *word)
{
	if (strcmp(word, "ids") == 0)
		take_ids();
	else if (strcmp(word, "no_new_privs") == 0)
		REPORT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	else if (strcmp(word, "keepcaps") == 0)
		REPORT(prctl(PR_SET_KEEPCAPS, 1));
	else if (strcmp(word, "inherit") == 0)
		inherit();
	else if (strcmp(word, "ambient") == 0)
		REPORT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, NET_RAW, 0, 0));
	else if (strcmp(word, "noroot") == 0)
		REPORT(prctl(PR_SET_SECUREBITS, 1));
	else if (strcmp(word, "drop") == 0)
		REPORT(prctl(PR_CAPBSET_DROP, NET_RAW));
	else if (strcmp(word, "undumpable") == 0)
		REPORT(prctl(PR_SET_DUMPABLE, 0));
	else if (strcmp(word, "effective") == 0)
		REPORT(setresuid(0, 1001, 0));
	else if (strcmp(word, "real") == 0)
		REPORT(setresuid(1001, 0, 1001));
	else if (strcmp(word, "fork") == 0)
		IN_CHILD("child", _exit(1));
	else
		say("what is %s?", word);
}

int main(int argc, char **argv)
{
	int next = 3, has_ids = 0;

	user = atoi(argv[1]);
	group = atoi(argv[2]);
	for (int i = next; i < argc && strcmp(argv[i], "--"); i++)
		has_ids |= strcmp(argv[i], "ids") == 0;
	if (!has_ids)
		take_ids();
	for (; next < argc && strcmp(argv[next], "--"); next++)
		prepare(argv[next]);
	execv(argv[next + 1], argv + next + 1);
	say("execv %s: %s", argv[next + 1], strerrorname_np(errno));
	describe(0, argv);
	return 1;
}
