/* How many real-time signals can wait (sigqueue(3), RLIMIT_SIGPENDING), and a child without its
 * parent's handlers (CLONE_CLEAR_SIGHAND). */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int send_value(int number, int value)
{
	union sigval with = { .sival_int = value };
	return sigqueue(getpid(), number, with);
}

static int take(int number, siginfo_t *info)
{
	sigset_t set;
	struct timespec none = { 0, 0 };
	sigemptyset(&set);
	sigaddset(&set, number);
	return sigtimedwait(&set, info, &none);
}

static void queue(void)
{
	enum { LIMIT = 20 };
	struct rlimit limit = { LIMIT, LIMIT };
	int first = SIGRTMIN, second = SIGRTMIN + 1;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, first);
	sigaddset(&set, second);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setrlimit(RLIMIT_SIGPENDING, &limit);
	int sent = 0;
	while (sent < 10 * LIMIT && send_value(first, sent) == 0)
		sent++;
	printf("refused in time: %d, EAGAIN %d\n", sent > 0 && sent <= LIMIT, errno == EAGAIN);
	/* What has no value comes all the same: an ordinary one, and by kill. */
	printf("ordinary: %d, by kill: %d\n", send_value(SIGUSR1, 1), kill(getpid(), second));
	printf("another with a value: %d\n", send_value(second, 7));
	siginfo_t info;
	printf("it is there: %d", take(SIGUSR1, &info) == SIGUSR1);
	printf(", %d", take(second, &info) == second);
	printf(", and no more: %d\n", take(second, &info));
	int in_order = 1;
	for (int value = 0; value < sent; value++)
		in_order &= take(first, &info) == first && info.si_value.sival_int == value;
	printf("in order: %d, then none: %d\n", in_order, take(first, &info));
	printf("room again: %d\n", send_value(first, 5));
	printf("taken: %d\n", take(first, &info) == first && info.si_value.sival_int == 5);
}

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#define CLONE_SHARED_HANDLERS 0x800ULL

struct arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static void handler(int signal) { (void)signal; }
static void cleared(void)
{
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	fflush(stdout);
	struct arguments arguments = { .flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
	if (pid == 0) {
		struct sigaction first, second;
		sigaction(SIGUSR1, NULL, &first);
		sigaction(SIGUSR2, NULL, &second);
		_exit((first.sa_handler == SIG_DFL) + 2 * (second.sa_handler == SIG_IGN));
	}
	int status;
	waitpid((pid_t)pid, &status, 0);
	struct sigaction mine;
	sigaction(SIGUSR1, NULL, &mine);
	printf("the child's are default and ignored: %d, the parent's stay %d\n",
	       WEXITSTATUS(status), mine.sa_handler == handler);
	arguments.flags |= CLONE_SHARED_HANDLERS;
	pid = syscall(SYS_clone3, &arguments, sizeof arguments);
	if (pid == 0)
		_exit(0);
	printf("with shared handlers: %ld, EINVAL %d\n", pid, errno == EINVAL);
}

int main(void)
{
	queue();
	cleared();
	return 0;
}
