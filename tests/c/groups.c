/* Process groups without a process to continue them (setpgid(2), "orphaned"). */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *what, int status)
{
	if (WIFSTOPPED(status))
		printf("%s: stopped by %d\n", what, WSTOPSIG(status));
	else if (WIFSIGNALED(status))
		printf("%s: killed by %d\n", what, WTERMSIG(status));
	else
		printf("%s: status %d\n", what, WEXITSTATUS(status));
	fflush(stdout);
}

/* In a group of its own of the same session, so its parent could continue it. */
static void cared_for(int signal)
{
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		raise(signal);
		_exit(7);
	}
	int status;
	waitpid(pid, &status, WUNTRACED);
	show("cared for", status);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGCONT);
		waitpid(pid, &status, 0);
		show("continued", status);
	}
}

/* In a session of its own: ^Z is not for it, but SIGSTOP is. */
static void orphaned(int signal)
{
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		raise(signal);
		_exit(7);
	}
	int status;
	waitpid(pid, &status, WUNTRACED);
	show("orphaned", status);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGCONT);
		waitpid(pid, &status, 0);
		show("continued", status);
	}
}

static int out;
static void tells(int signal)
{
	char number = (char)signal;
	write(out, &number, 1);
}

static void tell_of_signals(int told[2])
{
	close(told[0]);
	out = told[1];
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = tells;
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGCONT, &action, NULL);
}

static void show_signals(const char *what, int told[2])
{
	char number;
	int hup = 0, cont = 0;
	struct pollfd wait = { .fd = told[0], .events = POLLIN };
	close(told[1]);
	while (poll(&wait, 1, 3000) == 1 && read(told[0], &number, 1) == 1) {
		hup += number == SIGHUP;
		cont += number == SIGCONT;
	}
	close(told[0]);
	printf("%s: SIGHUP %d, SIGCONT %d\n", what, hup, cont);
	fflush(stdout);
}

/* The process that could continue it ends: a group with a stopped process gets both signals. */
static void becomes_orphaned(const char *what, int stops)
{
	int told[2];
	pipe(told);
	pid_t middle = fork();
	if (middle == 0) {
		pid_t last = fork();
		if (last == 0) {
			tell_of_signals(told);
			setpgid(0, 0);
			if (stops)
				raise(SIGSTOP);
			else
				usleep(300000);
			_exit(0);
		}
		int status;
		if (stops)
			waitpid(last, &status, WUNTRACED);
		else
			usleep(50000);
		_exit(0);
	}
	waitpid(middle, NULL, 0);
	show_signals(what, told);
}

/* The same where it was in the group itself, as its parent is outside. */
static void leaves_its_group(void)
{
	int told[2];
	pipe(told);
	pid_t leader = fork();
	if (leader == 0) {
		setpgid(0, 0);
		pid_t last = fork();
		if (last == 0) {
			tell_of_signals(told);
			raise(SIGSTOP);
			_exit(0);
		}
		int status;
		waitpid(last, &status, WUNTRACED);
		_exit(0);
	}
	waitpid(leader, NULL, 0);
	show_signals("its leader ended", told);
}

int main(void)
{
	/* The process that adopts the orphans is in another session. */
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		for (int i = 0; i < 2; i++) {
			int signal = i ? SIGSTOP : SIGTSTP;
			cared_for(signal);
			orphaned(signal);
		}
		becomes_orphaned("stopped when its parent ended", 1);
		becomes_orphaned("running when its parent ended", 0);
		leaves_its_group();
		fflush(stdout);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	show("all", status);
	return 0;
}
