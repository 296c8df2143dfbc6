/* Nice values, policies and real-time priorities: what each call returns, what a child has, and which
 * errors there are. Run as root. Prints no times. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct attr {
	unsigned size, policy;
	unsigned long long flags;
	int nice;
	unsigned priority;
	unsigned long long runtime, deadline, period;
	unsigned low, high;
};

static void told(const char *what, long result)
{
	printf("%s: %ld%s%s\n", what, result, result < 0 ? ", " : "",
	       result < 0 ? strerror(errno) : "");
}

static void nices(void)
{
	told("nice 5", setpriority(PRIO_PROCESS, 0, 5));
	printf("is %d\n", getpriority(PRIO_PROCESS, 0));
	told("nice 100", setpriority(PRIO_PROCESS, getpid(), 100));
	printf("is %d\n", getpriority(PRIO_PROCESS, 0));
	told("nice -100", setpriority(PRIO_PROCESS, 0, -100));
	errno = 0;
	printf("is %d\n", getpriority(PRIO_PROCESS, 0));
	told("raw", syscall(SYS_getpriority, PRIO_PROCESS, 0));
	told("no such kind", setpriority(3, 0, 0));
	told("no such process", setpriority(PRIO_PROCESS, 999999, 0));
	errno = 0;
	told("no such group", getpriority(PRIO_PGRP, 999999));
	errno = 0;
	told("no such user", getpriority(PRIO_USER, 54321));
	told("own group", setpriority(PRIO_PGRP, 0, 3));
	printf("is %d\n", getpriority(PRIO_PROCESS, 0));
	told("back", setpriority(PRIO_PROCESS, 0, 0));
}

static void policies(void)
{
	struct sched_param param = { .sched_priority = 10 };
	int known[] = { SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, 6, 4, 99 };
	for (int i = 0; i < 8; i++)
		printf("policy %d: from %d to %d\n", known[i], sched_get_priority_min(known[i]),
		       sched_get_priority_max(known[i]));
	told("at first", sched_getscheduler(0));
	told("fifo", sched_setscheduler(0, SCHED_FIFO, &param));
	told("is", sched_getscheduler(0));
	param.sched_priority = 0;
	told("param", sched_getparam(0, &param));
	printf("priority %d\n", param.sched_priority);
	struct timespec interval = { 9, 9 };
	told("interval", sched_rr_get_interval(0, &interval));
	printf("%ld.%09ld\n", (long)interval.tv_sec, interval.tv_nsec);
	param.sched_priority = 100;
	told("too high", sched_setparam(0, &param));
	param.sched_priority = 0;
	told("none", sched_setparam(0, &param));
	param.sched_priority = 99;
	told("highest", sched_setparam(0, &param));
	told("round robin", sched_setscheduler(0, SCHED_RR, &param));
	told("interval", sched_rr_get_interval(0, &interval));
	printf("at most a second: %d\n", interval.tv_sec == 0 && interval.tv_nsec > 0);
	told("other with a priority", sched_setscheduler(0, SCHED_OTHER, &param));
	param.sched_priority = 0;
	told("batch", sched_setscheduler(0, SCHED_BATCH, &param));
	told("is", sched_getscheduler(0));
	told("idle", sched_setscheduler(0, SCHED_IDLE, &param));
	told("is", sched_getscheduler(0));
	told("unknown", sched_setscheduler(0, 4, &param));
	told("negative", sched_setscheduler(0, -1, &param));
	told("no param", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL));
	told("bad param", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, 8));
	told("negative thread", sched_getscheduler(-1));
	told("no such thread", sched_getscheduler(999999));
	told("no such thread", sched_getparam(999999, &param));
	told("no such thread", sched_rr_get_interval(999999, &interval));
	told("other", sched_setscheduler(0, SCHED_OTHER, &param));
}

static void attributes(void)
{
	struct attr attr;
	memset(&attr, 0, sizeof attr);
	attr.size = sizeof attr;
	attr.nice = 7;
	told("set nice", syscall(SYS_sched_setattr, 0, &attr, 0));
	memset(&attr, 0x55, sizeof attr);
	told("get", syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0));
	printf("policy %u flags %llu nice %d priority %u\n", attr.policy, attr.flags, attr.nice,
	       attr.priority);
	memset(&attr, 0, sizeof attr);
	attr.size = 48;
	attr.policy = SCHED_RR;
	attr.priority = 3;
	attr.flags = 1;
	told("set rr", syscall(SYS_sched_setattr, 0, &attr, 0));
	told("is", sched_getscheduler(0));
	printf("nice stays: %d\n", getpriority(PRIO_PROCESS, 0));
	attr.size = 40;
	told("small", syscall(SYS_sched_setattr, 0, &attr, 0));
	attr.size = 5000;
	told("large", syscall(SYS_sched_setattr, 0, &attr, 0));
	printf("known size is told: %d\n", attr.size >= 48 && attr.size < 200);
	attr.size = 48;
	told("flags", syscall(SYS_sched_setattr, 0, &attr, 1));
	attr.flags = 1ULL << 40;
	told("unknown flag", syscall(SYS_sched_setattr, 0, &attr, 0));
	told("small get", syscall(SYS_sched_getattr, 0, &attr, 40, 0));
	told("large get", syscall(SYS_sched_getattr, 0, &attr, 5000, 0));
	told("no address", syscall(SYS_sched_getattr, 0, NULL, 48, 0));
	told("bad address", syscall(SYS_sched_getattr, 0, 8, 48, 0));
}

/* Fields 18, 19, 40 and 41 of proc(5). */
static void shown(const char *what)
{
	char line[1024] = "", *at;
	FILE *file = fopen("/proc/self/stat", "r");
	if (file == NULL || fgets(line, sizeof line, file) == NULL)
		perror("stat");
	if (file)
		fclose(file);
	at = strrchr(line, ')');
	printf("%s:", what);
	for (int field = 2; at && field <= 41; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
		if (at && (field + 1 == 18 || field + 1 == 19 || field + 1 == 40 || field + 1 == 41))
			printf(" %ld", atol(at));
	}
	printf("\n");
}

static void in_child(void (*body)(void))
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		body();
		fflush(stdout);
		_exit(0);
	}
	int status;
	waitpid(child, &status, 0);
	printf("child: %d\n", status);
}

static void child_shows(void)
{
	shown("child");
	told("its policy", sched_getscheduler(0));
}

static void inheritance(void)
{
	struct sched_param param = { .sched_priority = 2 };
	setpriority(PRIO_PROCESS, 0, -3);
	told("fifo", sched_setscheduler(0, SCHED_FIFO, &param));
	shown("parent");
	in_child(child_shows);
	told("reset", sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param));
	shown("parent");
	in_child(child_shows);
	param.sched_priority = 0;
	told("reset", sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &param));
	in_child(child_shows);
	told("other", sched_setscheduler(0, SCHED_OTHER, &param));
	setpriority(PRIO_PROCESS, 0, 0);
}

static void unprivileged(void)
{
	struct sched_param param = { .sched_priority = 1 };
	struct rlimit limit = { 0, 0 };
	setrlimit(RLIMIT_NICE, &limit);
	setrlimit(RLIMIT_RTPRIO, &limit);
	if (setuid(1234) != 0)
		perror("setuid");
	told("less time", setpriority(PRIO_PROCESS, 0, 4));
	told("more time", setpriority(PRIO_PROCESS, 0, 3));
	told("of another user", setpriority(PRIO_PROCESS, getppid(), 10));
	told("fifo", sched_setscheduler(0, SCHED_FIFO, &param));
	param.sched_priority = 0;
	told("of another user", sched_setscheduler(getppid(), SCHED_OTHER, &param));
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	told("of another user", sched_setaffinity(getppid(), sizeof cpus, &cpus));
	told("idle", sched_setscheduler(0, SCHED_IDLE, &param));
	told("out of idle", sched_setscheduler(0, SCHED_OTHER, &param));
	told("reset", sched_setscheduler(0, SCHED_IDLE | SCHED_RESET_ON_FORK, &param));
	told("no reset", sched_setscheduler(0, SCHED_IDLE, &param));
}

/* Only where root may raise limits: in a container it may not. */
static void limited(void)
{
	struct sched_param param = { .sched_priority = 5 };
	struct rlimit nice = { 25, 25 }, priority = { 5, 5 };
	if (setrlimit(RLIMIT_NICE, &nice) != 0 || setrlimit(RLIMIT_RTPRIO, &priority) != 0)
		return;
	if (setuid(1234) != 0)
		perror("setuid");
	int right = setpriority(PRIO_PROCESS, 0, -5) == 0;
	right &= setpriority(PRIO_PROCESS, 0, -6) == -1 && errno == EACCES;
	right &= sched_setscheduler(0, SCHED_FIFO, &param) == 0;
	param.sched_priority = 6;
	right &= sched_setscheduler(0, SCHED_FIFO, &param) == -1 && errno == EPERM;
	param.sched_priority = 4;
	right &= sched_setscheduler(0, SCHED_RR, &param) == 0;
	if (!right)
		printf("the limits are not kept\n");
}

static volatile int spins = 1;

static void *spin(void *unused)
{
	while (spins)
		;
	return unused;
}

/* A thread that only spins moves before the call returns. */
static void moved(void)
{
	cpu_set_t all, one;
	pthread_t thread;
	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
		if (CPU_ISSET(cpu, &all))
			CPU_SET(cpu, &one);
	pthread_create(&thread, NULL, spin, NULL);
	told("moves", pthread_setaffinity_np(thread, sizeof one, &one));
	CPU_ZERO(&one);
	pthread_getaffinity_np(thread, sizeof one, &one);
	printf("to one CPU: %d\n", CPU_COUNT(&one));
	spins = 0;
	pthread_join(thread, NULL);
}

int main(void)
{
#ifndef __GLIBC__
	/* musl's functions fail without a system call (ENOSYS). */
	puts("no functions for policies");
	return 0;
#endif
	if (getuid() != 0) {
		printf("not root\n");
		return 0;
	}
	in_child(nices);
	in_child(policies);
	in_child(attributes);
	in_child(inheritance);
	in_child(unprivileged);
	in_child(limited);
	in_child(moved);
	return 0;
}
