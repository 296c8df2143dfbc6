/* Timers: POSIX timers on each clock, their signals and overruns; interval timers of CPU time; the
 * limit of CPU time. Prints no times. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void told(const char *what, long result)
{
	printf("%s: %ld%s%s\n", what, result, result < 0 ? ", " : "",
	       result < 0 ? strerror(errno) : "");
}

static volatile sig_atomic_t signals, code, value, overrun, by_thread;

static void handler(int signal, siginfo_t *info, void *context)
{
	signals++;
	code = info->si_code;
	value = info->si_value.sival_int;
	overrun = info->si_overrun;
	by_thread = syscall(SYS_gettid);
}

static void catches(int signal)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	sigaction(signal, &action, NULL);
	signals = 0;
}

static double cpu(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Works until so many signals have come, or ten seconds are over. */
static void work(int wanted)
{
	double end = cpu(CLOCK_MONOTONIC) + 10;
	while (signals < wanted && cpu(CLOCK_MONOTONIC) < end)
		for (volatile int i = 0; i < 10000; i++)
			;
}

static struct itimerspec every(long first, long interval)
{
	struct itimerspec spec = {
		.it_value = { first / 1000, first % 1000 * 1000000 },
		.it_interval = { interval / 1000, interval % 1000 * 1000000 },
	};
	return spec;
}

static void on_clock(const char *name, clockid_t clock)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
				  .sigev_value.sival_int = 77 };
	timer_t timer;
	catches(SIGUSR1);
	told(name, timer_create(clock, &event, &timer));
	struct itimerspec spec = every(20, 0), old;
	double before = cpu(clock);
	told("set", timer_settime(timer, 0, &spec, &old));
	printf("old %ld %ld\n", (long)old.it_value.tv_sec, old.it_value.tv_nsec);
	work(1);
	printf("signals %d, code %d, value %d, not early %d\n", (int)signals, (int)code, (int)value,
	       cpu(clock) - before >= 0.0199);
	timer_gettime(timer, &old);
	printf("left %ld %ld\n", (long)old.it_value.tv_sec, old.it_value.tv_nsec);
	struct timespec now;
	clock_gettime(clock, &now);
	spec = every(0, 0);
	spec.it_value = now;
	signals = 0;
	told("at a time that is over", timer_settime(timer, TIMER_ABSTIME, &spec, NULL));
	work(1);
	printf("signals %d\n", (int)signals);
	spec = every(100000, 5000);
	told("far away", timer_settime(timer, 0, &spec, NULL));
	timer_gettime(timer, &old);
	printf("left about 100: %d, interval %ld\n", old.it_value.tv_sec >= 98 && old.it_value.tv_sec <= 100,
	       (long)old.it_interval.tv_sec);
	spec = every(0, 0);
	told("stop", timer_settime(timer, 0, &spec, &old));
	timer_gettime(timer, &old);
	printf("left %ld, interval %ld\n", (long)old.it_value.tv_sec, (long)old.it_interval.tv_sec);
	told("delete", timer_delete(timer));
	told("again", syscall(SYS_timer_delete, timer));
}

static void overruns(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	timer_t timer;
	sigset_t set;
	catches(SIGUSR2);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	told("create", timer_create(CLOCK_MONOTONIC, &event, &timer));
	struct itimerspec spec = every(5, 5);
	timer_settime(timer, 0, &spec, NULL);
	told("overrun at first", timer_getoverrun(timer));
	usleep(100000);
	siginfo_t info;
	told("taken", sigwaitinfo(&set, &info));
	printf("code %d, some missed %d, as told %d\n", info.si_code,
	       info.si_overrun >= 10 && info.si_overrun < 2000,
	       timer_getoverrun(timer) == info.si_overrun);
	told("and again", sigwaitinfo(&set, &info));
	told("delete", timer_delete(timer));
	signal(SIGUSR2, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void *sleeps(void *at)
{
	*(volatile pid_t *)at = syscall(SYS_gettid);
	for (int i = 0; i < 1000 && !signals; i++)
		usleep(10000);
	return NULL;
}

/* C libraries have different names for this field. */
static void set_tid(struct sigevent *event, int tid)
{
	memcpy((char *)event + 16, &tid, sizeof tid);
}

static void to_thread(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	volatile pid_t tid = 0;
	pthread_t thread;
	timer_t timer;
	catches(SIGRTMIN);
	pthread_create(&thread, NULL, sleeps, (void *)&tid);
	while (tid == 0)
		usleep(1000);
	set_tid(&event, tid);
	told("for a thread", timer_create(CLOCK_BOOTTIME, &event, &timer));
	struct itimerspec spec = every(10, 0);
	timer_settime(timer, 0, &spec, NULL);
	pthread_join(thread, NULL);
	printf("signals %d, to it %d\n", (int)signals, by_thread == tid);
	timer_delete(timer);
	set_tid(&event, 1);
	told("for another process", timer_create(CLOCK_MONOTONIC, &event, &timer));
}

static void errors(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65 };
	timer_t timer;
	struct itimerspec spec = every(1, 0);
	told("signal 65", timer_create(CLOCK_MONOTONIC, &event, &timer));
	event.sigev_signo = 0;
	told("signal 0", timer_create(CLOCK_MONOTONIC, &event, &timer));
	event.sigev_signo = SIGUSR1;
	event.sigev_notify = 9;
	told("way 9", timer_create(CLOCK_MONOTONIC, &event, &timer));
	event.sigev_notify = SIGEV_NONE;
	told("clock 77", timer_create(77, &event, &timer));
	told("raw clock", timer_create(CLOCK_MONOTONIC_RAW, &event, &timer));
	told("bad address", syscall(SYS_timer_create, CLOCK_MONOTONIC, 8, &timer));
	told("bad address", syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, 8));
	told("none", timer_create(CLOCK_MONOTONIC, &event, &timer));
	told("nothing", syscall(SYS_timer_settime, timer, 0, NULL, NULL));
	spec.it_value.tv_nsec = 1000000000;
	told("bad time", timer_settime(timer, 0, &spec, NULL));
	spec = every(1, 0);
	told("set", timer_settime(timer, 0, &spec, NULL));
	usleep(5000);
	timer_gettime(timer, &spec);
	printf("left %ld %ld\n", (long)spec.it_value.tv_sec, spec.it_value.tv_nsec);
	told("no such timer", syscall(SYS_timer_gettime, 123456, &spec));
	told("no such timer", syscall(SYS_timer_getoverrun, 123456));
	fflush(stdout);
	if (fork() == 0)
		_exit(syscall(SYS_timer_gettime, timer, &spec) == -1 && errno == EINVAL ? 3 : 4);
	int status;
	wait(&status);
	printf("a child has none: %d\n", WEXITSTATUS(status) == 3);
}

static void intervals(void)
{
	struct itimerval timer = { { 0, 10000 }, { 0, 20000 } }, old;
	catches(SIGVTALRM);
	told("virtual", setitimer(ITIMER_VIRTUAL, &timer, NULL));
	usleep(50000);
	printf("none while it sleeps: %d\n", (int)signals);
	work(3);
	printf("at work: %d, code %d\n", signals >= 3, (int)code);
	getitimer(ITIMER_VIRTUAL, &old);
	printf("interval %ld\n", (long)old.it_interval.tv_usec);
	memset(&timer, 0, sizeof timer);
	told("stop", setitimer(ITIMER_VIRTUAL, &timer, &old));
	timer.it_value.tv_usec = 20000;
	catches(SIGPROF);
	double before = cpu(CLOCK_PROCESS_CPUTIME_ID);
	told("profiling", setitimer(ITIMER_PROF, &timer, NULL));
	work(1);
	printf("signals %d, not early %d\n", (int)signals, cpu(CLOCK_PROCESS_CPUTIME_ID) - before >= 0.0199);
	told("unknown", setitimer(3, &timer, NULL));
}

static void limit(void)
{
	struct rlimit limit = { 1, 2 };
	catches(SIGXCPU);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_CPU, &limit);
		for (int last = 0;;)
			if (signals != last) {
				last = signals;
				if (write(1, "SIGXCPU\n", 8) != 8)
					_exit(1);
			}
	}
	struct rusage usage;
	int status;
	wait4(child, &status, 0, &usage);
	double used = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
		      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("killed by %d after 2 s: %d\n", WTERMSIG(status), used > 1.9 && used < 2.3);
}

static void *spins(void *until)
{
	while (cpu(CLOCK_PROCESS_CPUTIME_ID) < *(double *)until)
		;
	return NULL;
}

static void sleeping(void)
{
	pthread_t thread;
	double until = cpu(CLOCK_PROCESS_CPUTIME_ID) + 0.2;
	pthread_create(&thread, NULL, spins, &until);
	struct timespec nap = { 0, 50000000 };
	double before = cpu(CLOCK_PROCESS_CPUTIME_ID);
	told("sleeps on CPU time", clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &nap, NULL));
	printf("not short %d\n", cpu(CLOCK_PROCESS_CPUTIME_ID) - before >= 0.05);
	printf("own clock: %d\n", clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &nap, NULL) == EINVAL);
	pthread_join(thread, NULL);
	struct timex timex;
	memset(&timex, 0, sizeof timex);
	printf("adjtimex: %d\n", adjtimex(&timex) >= 0 && timex.tick == 10000);
}

int main(void)
{
	on_clock("real time", CLOCK_REALTIME);
	on_clock("monotonic", CLOCK_MONOTONIC);
	on_clock("boot time", CLOCK_BOOTTIME);
	on_clock("CPU time", CLOCK_PROCESS_CPUTIME_ID);
	on_clock("CPU time of the thread", CLOCK_THREAD_CPUTIME_ID);
	overruns();
	to_thread();
	errors();
	intervals();
	sleeping();
	limit();
	return 0;
}
