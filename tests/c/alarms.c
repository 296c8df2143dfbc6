/* alarm and setitimer: they come once or again and again, interrupt what waits, can be taken
 * back, and are no child's. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int calls, last_code;
static void notes(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	calls++;
	last_code = info->si_code;
}

static void nap(int milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000L };
	while (nanosleep(&time, &time) != 0)
		;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = notes;
	action.sa_flags = SA_SIGINFO;
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	int result = pause();
	printf("alarm: %d, EINTR %d, calls %d, code %d\n", result, errno == EINTR, calls, last_code);
	printf("none before: %u\n", alarm(100));
	unsigned left = alarm(50);
	printf("taken back: %d\n", left == 100 || left == 99);
	struct itimerval now;
	getitimer(ITIMER_REAL, &now);
	printf("left: %d %d\n", now.it_value.tv_sec == 49 || now.it_value.tv_sec == 50,
	       (int)now.it_interval.tv_sec);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(alarm(0) == 0 ? 3 : 4);
	int status;
	waitpid(pid, &status, 0);
	printf("a child has none: %d\n", WEXITSTATUS(status));
	alarm(0);
	calls = 0;
	struct itimerval often = { { 0, 20000 }, { 0, 1 } }, old, never = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &often, &old);
	printf("stopped before: %d\n", (int)(old.it_value.tv_sec + old.it_value.tv_usec));
	while (calls < 5)
		;
	setitimer(ITIMER_REAL, &never, &old);
	printf("interval: %d %d\n", (int)old.it_interval.tv_sec, (int)old.it_interval.tv_usec);
	int before = calls;
	nap(100);
	printf("no more: %d\n", calls == before);
	struct itimerval odd = { { 0, 0 }, { 0, 1000000 } };
	result = setitimer(ITIMER_REAL, &odd, NULL);
	printf("odd: %d, EINVAL %d\n", result, errno == EINVAL);
	result = setitimer(7, &never, NULL);
	printf("unknown: %d, EINVAL %d\n", result, errno == EINVAL);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct itimerval soon = { { 0, 0 }, { 0, 50000 } };
		signal(SIGALRM, SIG_DFL);
		setitimer(ITIMER_REAL, &soon, NULL);
		for (;;)
			;
	}
	waitpid(pid, &status, 0);
	printf("default: signal %d\n", WTERMSIG(status));
	return 0;
}
