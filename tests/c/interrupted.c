/* System calls that wait, and signals that come meanwhile: which of them fail, which begin
 * anew, what has been done by then; stops, and the process that is told of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int calls;
static volatile int handler_writes = -1;
static void notes(int signal)
{
	(void)signal;
	calls++;
	if (handler_writes >= 0)
		write(handler_writes, "h", 1);
}

static void catch(int signal, int flags)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = notes;
	action.sa_flags = flags;
	sigaction(signal, &action, NULL);
	calls = 0;
}

static void nap(int milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000L };
	while (nanosleep(&time, &time) != 0)
		;
}

/* A child that sends its parent signals, some time apart. */
static pid_t later(int first, int second)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		nap(100);
		kill(getppid(), first);
		if (second) {
			nap(100);
			kill(getppid(), second);
		}
		/* Its end is not to come with them. */
		nap(100);
		_exit(0);
	}
	return pid;
}
static void over(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static const char *name(long result)
{
	if (result >= 0)
		return "done";
	switch (errno) {
	case EINTR: return "EINTR";
	case EAGAIN: return "EAGAIN";
	case ETIMEDOUT: return "ETIMEDOUT";
	default: return strerror(errno);
	}
}

static long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pipes(void)
{
	int ends[2];
	char byte = '?';
	pipe(ends);
	catch(SIGUSR1, 0);
	pid_t pid = later(SIGUSR1, 0);
	long got = read(ends[0], &byte, 1);
	printf("read: %s, calls %d\n", name(got), calls);
	over(pid);
	/* The handler writes what the call, begun anew, then reads. */
	catch(SIGUSR1, SA_RESTART);
	handler_writes = ends[1];
	pid = later(SIGUSR1, 0);
	got = read(ends[0], &byte, 1);
	printf("read with SA_RESTART: %ld %c, calls %d\n", got, byte, calls);
	handler_writes = -1;
	over(pid);
	/* One handler without the flag among others. */
	catch(SIGUSR2, 0);
	catch(SIGUSR1, SA_RESTART);
	pid = later(SIGUSR1, SIGUSR2);
	got = read(ends[0], &byte, 1);
	printf("read with both: %s, calls %d\n", name(got), calls);
	over(pid);
	/* What was written before counts. */
	static char much[200000];
	catch(SIGUSR1, 0);
	pid = later(SIGUSR1, 0);
	long put = write(ends[1], much, sizeof much);
	printf("write: some %d, calls %d\n", put > 60000 && put < 70000, calls);
	over(pid);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	while (write(ends[1], much, 1) == 1)
		;
	fcntl(ends[1], F_SETFL, 0);
	pid = later(SIGUSR1, 0);
	put = write(ends[1], much, 10);
	printf("write into a full pipe: %s, calls %d\n", name(put), calls);
	over(pid);
	close(ends[0]);
	close(ends[1]);
}

static void sleeping(void)
{
	catch(SIGUSR1, SA_RESTART);
	struct timespec time = { 5, 0 }, left = { 0, 0 };
	pid_t pid = later(SIGUSR1, 0);
	int result = nanosleep(&time, &left);
	printf("nanosleep: %s, calls %d, left %d\n", name(result), calls,
	       left.tv_sec == 4 && left.tv_nsec > 0);
	over(pid);
	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += 5;
	left.tv_sec = 77;
	pid = later(SIGUSR1, 0);
	result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, &left);
	printf("until a time: EINTR %d, calls %d, left alone %d\n", result == EINTR, calls,
	       left.tv_sec == 77);
	over(pid);
	pid = later(SIGUSR1, 0);
	result = pause();
	printf("pause: %s, calls %d\n", name(result), calls);
	over(pid);
}

static void polling(void)
{
	int ends[2];
	pipe(ends);
	catch(SIGUSR1, SA_RESTART);
	struct pollfd fd = { .fd = ends[0], .events = POLLIN };
	pid_t pid = later(SIGUSR1, 0);
	int result = poll(&fd, 1, 5000);
	printf("poll: %s, calls %d\n", name(result), calls);
	over(pid);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	struct timeval time = { 5, 0 };
	pid = later(SIGUSR1, 0);
	result = syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, &time);
	printf("select: %s, calls %d, left %d\n", name(result), calls, time.tv_sec == 4);
	over(pid);
	/* A mask for the time of the wait. */
	sigset_t blocked, none;
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	calls = 0;
	raise(SIGUSR1);
	struct timespec patience = { 5, 0 };
	result = ppoll(&fd, 1, &patience, &none);
	printf("ppoll: %s, calls %d\n", name(result), calls);
	raise(SIGUSR1);
	FD_SET(ends[0], &set);
	result = pselect(ends[0] + 1, &set, NULL, NULL, &patience, &none);
	printf("pselect: %s, calls %d\n", name(result), calls);
	raise(SIGUSR1);
	result = sigsuspend(&none);
	sigset_t now;
	sigprocmask(SIG_SETMASK, &none, &now);
	printf("sigsuspend: %s, calls %d, held back again %d\n", name(result), calls,
	       sigismember(&now, SIGUSR1));
	/* What is ready wins, and the mask is back. */
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	write(ends[1], "x", 1);
	result = ppoll(&fd, 1, &patience, &none);
	sigprocmask(SIG_SETMASK, &none, &now);
	printf("ppoll with bytes: %s, %d, held back again %d\n", name(result), fd.revents == POLLIN,
	       sigismember(&now, SIGUSR1));
	close(ends[0]);
	close(ends[1]);
}

static void by_name(void)
{
	sigset_t set;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	catch(SIGUSR1, SA_RESTART);
	struct timespec soon = { 0, 1000000 }, long_time = { 5, 0 }, none = { 0, 0 };
	int result = sigtimedwait(&set, &info, &none);
	printf("sigtimedwait, none: %s\n", name(result));
	result = sigtimedwait(&set, &info, &soon);
	printf("sigtimedwait, soon: %s\n", name(result));
	pid_t pid = later(SIGUSR1, 0);
	/* musl's own would begin anew. */
	result = syscall(SYS_rt_sigtimedwait, &set, &info, &long_time, 8);
	printf("sigtimedwait, another: %s, calls %d\n", name(result), calls);
	/* The child's end is a signal of the set, of which no call would have told otherwise. */
	result = sigwaitinfo(&set, &info);
	printf("sigwaitinfo: %d, code %d, pid right %d, status %d\n", result == SIGCHLD, info.si_code,
	       info.si_pid == pid, info.si_status);
	over(pid);
	union sigval value = { .sival_int = 99 };
	sigqueue(getpid(), SIGRTMIN, value);
	result = sigwaitinfo(&set, &info);
	printf("sigwaitinfo: %d, code %d, value %d\n", result == SIGRTMIN, info.si_code,
	       info.si_value.sival_int);
	pid = later(SIGUSR2, 0);
	result = sigwaitinfo(&set, &info);
	printf("sigwaitinfo: %d, pid right %d\n", result == SIGUSR2, info.si_pid == pid);
	over(pid);
	sigtimedwait(&set, &info, &soon);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void waiting(void)
{
	catch(SIGUSR1, 0);
	fflush(stdout);
	pid_t slow = fork();
	if (slow == 0) {
		nap(400);
		_exit(7);
	}
	pid_t pid = later(SIGUSR1, 0);
	int status = 0;
	int result = waitpid(slow, &status, 0);
	printf("waitpid: %s, calls %d\n", name(result), calls);
	over(pid);
	catch(SIGUSR1, SA_RESTART);
	pid = later(SIGUSR1, 0);
	result = waitpid(slow, &status, 0);
	printf("waitpid with SA_RESTART: %d, status %d\n", result == slow, WEXITSTATUS(status));
	over(pid);
}

static sem_t sem;
static void locks(void)
{
	sem_init(&sem, 0, 0);
	catch(SIGUSR1, 0);
	pid_t pid = later(SIGUSR1, 0);
	int result = sem_wait(&sem);
	printf("sem_wait: %s, calls %d\n", name(result), calls);
	over(pid);
	catch(SIGUSR1, SA_RESTART);
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_sec += 5;
	pid = later(SIGUSR1, 0);
	result = sem_timedwait(&sem, &time);
	printf("sem_timedwait: %s, calls %d\n", name(result), calls);
	over(pid);
}

/* Stops: a thread that waits stops where it waits, and goes on with what is left of the wait. */
static volatile int child_codes[8], child_events;
static void notes_child(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (child_events < 8)
		child_codes[child_events++] = info->si_code;
}
static void show(const char *what, int result, pid_t pid, int status)
{
	printf("%s: right one %d, ", what, result == pid);
	if (WIFSTOPPED(status))
		printf("stopped by %d\n", WSTOPSIG(status));
	else if (WIFCONTINUED(status))
		printf("continued\n");
	else if (WIFSIGNALED(status))
		printf("killed by %d\n", WTERMSIG(status));
	else
		printf("exit %d\n", WEXITSTATUS(status));
}
static void reads_byte(void)
{
	int ends[2];
	char byte;
	pipe(ends);
	if (fork() == 0) {
		nap(500);
		write(ends[1], "b", 1);
		_exit(0);
	}
	int result = read(ends[0], &byte, 1) == 1;
	while (wait(NULL) > 0)
		;
	_exit(result ? 11 : 12);
}
static void sleeps(void)
{
	long begin = milliseconds();
	struct timespec time = { 0, 400000000 };
	int result = nanosleep(&time, NULL);
	long took = milliseconds() - begin;
	_exit(result == 0 && took >= 400 && took < 3000 ? 21 : 22);
}
static void polls(void)
{
	long begin = milliseconds();
	int result = poll(NULL, 0, 400);
	long took = milliseconds() - begin;
	_exit(result == 0 && took >= 400 && took < 3000 ? 31 : 32);
}
static void stops_itself(void)
{
	raise(SIGSTOP);
	_exit(41);
}
static void continued(int signal) { _exit(signal == SIGCONT ? 51 : 52); }
static void catches_cont(void)
{
	signal(SIGCONT, continued);
	for (;;)
		pause();
}
static void stop_and_continue(const char *what, void (*body)(void), int stop)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		body();
	}
	nap(100);
	if (stop)
		kill(pid, stop);
	int result = waitpid(pid, &status, WUNTRACED | WCONTINUED);
	show(what, result, pid, status);
	printf("%s: again %d\n", what, waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG));
	nap(50);
	kill(pid, SIGCONT);
	result = waitpid(pid, &status, WUNTRACED | WCONTINUED);
	show(what, result, pid, status);
	if (WIFCONTINUED(status)) {
		result = waitpid(pid, &status, 0);
		show(what, result, pid, status);
	}
}
static void stops(void)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = notes_child;
	action.sa_flags = SA_SIGINFO | SA_RESTART;
	sigaction(SIGCHLD, &action, NULL);
	stop_and_continue("read", reads_byte, SIGSTOP);
	stop_and_continue("sleep", sleeps, SIGTSTP);
	stop_and_continue("poll", polls, SIGTTIN);
	stop_and_continue("itself", stops_itself, 0);
	printf("told of:");
	for (int i = 0; i < 3; i++)
		printf(" %d", child_codes[i]);
	printf("\n");
	child_events = 0;
	action.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &action, NULL);
	stop_and_continue("quietly", stops_itself, 0);
	printf("told of:");
	for (int i = 0; i < child_events; i++)
		printf(" %d", child_codes[i]);
	printf("\n");
	/* Killed while it is stopped. */
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		stops_itself();
	int result = waitpid(pid, &status, WUNTRACED);
	show("stopped", result, pid, status);
	kill(pid, SIGKILL);
	result = waitpid(pid, &status, 0);
	show("stopped", result, pid, status);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		catches_cont();
	nap(100);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGCONT);
	result = waitpid(pid, &status, 0);
	show("its own handler", result, pid, status);
	signal(SIGCHLD, SIG_DFL);
}

/* Children whose exit status is not kept. */
static void unwanted(void)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = notes;
	action.sa_flags = SA_NOCLDWAIT;
	sigaction(SIGCHLD, &action, NULL);
	calls = 0;
	fflush(stdout);
	if (fork() == 0)
		_exit(0);
	int result;
	while ((result = wait(NULL)) < 0 && errno == EINTR)
		;
	printf("SA_NOCLDWAIT: ECHILD %d, calls %d\n", result == -1 && errno == ECHILD, calls);
	signal(SIGCHLD, SIG_DFL);
}

/* One thread waits, another is sent the signal; and one that none holds back but one. */
static volatile pthread_t handled_by;
static void notes_thread(int signal)
{
	(void)signal;
	calls++;
	handled_by = pthread_self();
}
static void *waits(void *argument)
{
	(void)argument;
	pause();
	return NULL;
}
static void *holds_back(void *argument)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sem_post(&sem);
	return waits(argument);
}
static void threads(void)
{
	pthread_t one, two;
	signal(SIGUSR1, notes_thread);
	signal(SIGUSR2, notes_thread);
	calls = 0;
	sem_init(&sem, 0, 0);
	pthread_create(&two, NULL, holds_back, NULL);
	sem_wait(&sem);
	sigset_t set;
	sigemptyset(&set);
	pthread_create(&one, NULL, waits, NULL);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	nap(100);
	kill(getpid(), SIGUSR1);
	pthread_join(one, NULL);
	printf("process: calls %d, by the one that lets it in %d\n", calls, handled_by == one);
	pthread_kill(two, SIGUSR1);
	nap(50);
	printf("held back: calls %d\n", calls);
	pthread_kill(two, SIGUSR2);
	pthread_join(two, NULL);
	printf("thread: calls %d, by itself %d\n", calls, handled_by == two);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	printf("not for the others: calls %d\n", calls);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	pipes();
	sleeping();
	polling();
	by_name();
	waiting();
	locks();
	stops();
	unwanted();
	threads();
	return 0;
}
