/* Signals without handlers: ignored, default, blocked; abort and the wait status. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void (*volatile nowhere)(void);

static void aborts(void) { abort(); }
static void crashes(void) { *(volatile int *)8 = 1; }
static void jumps_nowhere(void) { nowhere(); }
static void traps(void) { __asm__ volatile("ud2"); }
static void divides(void)
{
	volatile int many = 1000, zero = 0;
	many /= zero;
}
static void raises(void) { raise(SIGTERM); }
static void ignores(void)
{
	signal(SIGTERM, SIG_IGN);
	if (raise(SIGTERM) != 0)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	int ends[2];
	if (pipe(ends) != 0)
		_exit(2);
	close(ends[0]);
	if (write(ends[1], "x", 1) != -1 || errno != EPIPE)
		_exit(3);
	_exit(0);
}
static void breaks_pipe(void)
{
	int ends[2];
	if (pipe(ends) != 0)
		_exit(2);
	close(ends[0]);
	write(ends[1], "x", 1);
}
static void blocks(void)
{
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, &old) != 0)
		_exit(1);
	raise(SIGTERM);
	if (sigprocmask(SIG_SETMASK, &old, NULL) != 0)
		_exit(2);
	_exit(3); /* not reached: it was pending */
}
static void cannot_ignore_kill(void)
{
	if (signal(SIGKILL, SIG_IGN) != SIG_ERR || errno != EINVAL)
		_exit(1);
	kill(getpid(), SIGKILL);
}
static void default_ignored(void)
{
	raise(SIGCHLD);
	raise(SIGURG);
	raise(SIGWINCH);
	_exit(0);
}

/* Says how a call that should fail did; a parameter of its own, so that errno is read
 * after the call. */
static void expect_error(const char *what, long result, int error)
{
	printf("%s: %ld, the expected error %d\n", what, result, errno == error);
}

static void run(const char *name, void (*body)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		body();
		_exit(99);
	}
	int status;
	if (waitpid(pid, &status, 0) != pid) {
		perror("waitpid");
		exit(1);
	}
	if (WIFSIGNALED(status))
		printf("%s: signal %d\n", name, WTERMSIG(status));
	else
		printf("%s: exit %d\n", name, WEXITSTATUS(status));
}

int main(void)
{
	run("abort", aborts);
	run("crash", crashes);
	run("jump to nowhere", jumps_nowhere);
	run("invalid instruction", traps);
	run("division by zero", divides);
	run("raise", raises);
	run("ignore", ignores);
	run("broken pipe", breaks_pipe);
	run("block", blocks);
	run("SIGKILL", cannot_ignore_kill);
	run("ignored by default", default_ignored);
	/* Past the largest process number that any Linux hands out. */
	expect_error("kill of nobody", kill(0x7ffffffe, 0), ESRCH);
	expect_error("kill with a bad signal", kill(getpid(), 1000), EINVAL);
	printf("signal 0 to oneself: %d\n", kill(getpid(), 0));
	return 0;
}
