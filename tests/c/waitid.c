/* waitid: of whom, of what, and what is said of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child;

/* By number: the C libraries have no rusage in it. Bytes that stay 0x55 were not written. */
static void show(const char *what, int kind, int id, int options)
{
	siginfo_t info;
	struct rusage usage;
	memset(&info, 0x55, sizeof info);
	memset(&usage, 0x55, sizeof usage);
	long result = syscall(SYS_waitid, kind, id, &info, options, &usage);
	printf("%s: %ld, %d, signal %d errno %d code %d, %s, uid %s, status %d",
	       what, result, result ? errno : 0, info.si_signo,
	       info.si_errno, info.si_code,
	       info.si_pid == 0 ? "nobody" :
	       info.si_pid == child ? "the child" : "somebody",
	       info.si_uid == (info.si_pid ? getuid() : 0) ? "right" : "wrong",
	       info.si_status);
	unsigned char *bytes = (unsigned char *)&info, *of_usage = (void *)&usage;
	printf(", padding %x, rest %x, usage %s\n", bytes[12], bytes[32],
	       of_usage[7] == 0x55 ? "untouched" : "filled");
	fflush(stdout);
}

static void go_on(int signal)
{
	(void)signal;
}

static pid_t start(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct sigaction action = { .sa_handler = go_on };
		sigaction(SIGUSR1, &action, NULL);
		raise(SIGSTOP);
		raise(SIGSTOP);
		_exit(7);
	}
	return pid;
}

int main(void)
{
	show("no children", P_ALL, 0, WEXITED);
	child = start();
	show("no event", P_PID, child, WNOHANG);
	show("unknown option", P_PID, child, WEXITED | 0x100);
	show("unknown kind", 7, child, WEXITED);
	show("pid 0", P_PID, 0, WEXITED);
	show("pid -1", P_PID, -1, WEXITED);
	show("group -1", P_PGID, -1, WEXITED);
	show("not its child", P_PID, getpid(), WEXITED);
	show("not its group", P_PGID, child, WEXITED);
	show("clones", P_ALL, 0, WEXITED | __WCLONE);
	show("not yet", P_ALL, 0, WEXITED | WNOHANG);

	show("stopped, stays", P_ALL, 0, WSTOPPED | WNOWAIT);
	show("stopped, another", P_PID, child, WCONTINUED | WNOHANG);
	show("stopped", P_PGID, 0, WSTOPPED | WEXITED);
	show("stopped, told", P_PID, child, WSTOPPED | WEXITED | WNOHANG);
	kill(child, SIGCONT);
	show("stopped again", P_PGID, getpgrp(), WSTOPPED);
	kill(child, SIGCONT);
	show("ended, stays", P_PID, child, WEXITED | WNOWAIT);
	show("ended, another", P_PID, child, WSTOPPED | WCONTINUED | WNOHANG);
	show("ended", P_ALL, 0, WEXITED | __WALL);
	show("ended, told", P_PID, child, WEXITED);

	child = start();
	show("stopped", P_PID, child, WSTOPPED);
	kill(child, SIGCONT);
	show("stopped again", P_PID, child, WSTOPPED);
	kill(child, SIGKILL);
	show("killed, waits for a stop", P_PID, child, WSTOPPED);
	int status = 0;
	show("killed, stays", P_PID, child, WEXITED | WNOWAIT);
	int waited = waitpid(child, &status, 0) == child;
	printf("wait4: %d, status %#x\n", waited, status);

	child = fork();
	if (child == 0)
		for (;;)
			pause();
	kill(child, SIGSTOP);
	show("stopped", P_PID, child, WSTOPPED);
	kill(child, SIGCONT);
	show("continued, stays", P_PID, child, WCONTINUED | WNOWAIT);
	show("continued", P_PID, child, WCONTINUED | WEXITED);
	show("continued, told", P_PID, child, WCONTINUED | WEXITED | WNOHANG);
	kill(child, SIGTERM);
	printf("without a place for it: %d\n", waitid(P_PID, child, NULL, WEXITED));

	child = fork();
	if (child == 0)
		_exit(300);
	long result = syscall(SYS_waitid, P_PID, child, (void *)8, WEXITED, NULL);
	printf("wild: %ld, EFAULT %d\n", result, errno == EFAULT);
	show("taken all the same", P_PID, child, WEXITED);
	return 0;
}
