/* Clocks and sleeping: that they run forward, at about the right pace, and that the
 * clocks agree with each other. Prints no times. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static double seconds(clockid_t clock)
{
	struct timespec now;
	if (clock_gettime(clock, &now) != 0) {
		perror("clock_gettime");
		return -1;
	}
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Says how a call that should fail did; a parameter of its own, so that errno is read
 * after the call. */
static void expect_error(const char *what, long result, int error)
{
	printf("%s: %ld, the expected error %d\n", what, result, errno == error);
}

int main(void)
{
	time_t now = time(NULL);
	struct timeval tv;
	int result = gettimeofday(&tv, NULL);
	printf("gettimeofday: %d, agrees with time: %d\n", result,
	       tv.tv_sec >= now && tv.tv_sec <= now + 1);
	double real = seconds(CLOCK_REALTIME);
	printf("CLOCK_REALTIME agrees with time: %d\n",
	       real >= now && real <= now + 2);

	int backwards = 0;
	double last = seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < 10000; i++) {
		double next = seconds(CLOCK_MONOTONIC);
		backwards += next < last;
		last = next;
	}
	printf("CLOCK_MONOTONIC went backwards %d times\n", backwards);

	double before = seconds(CLOCK_MONOTONIC);
	struct timespec nap = { .tv_sec = 0, .tv_nsec = 50 * 1000 * 1000 };
	int slept = nanosleep(&nap, NULL);
	double took = seconds(CLOCK_MONOTONIC) - before;
	printf("nanosleep: %d, not too short %d, not far too long %d\n", slept,
	       took >= 0.05, took < 5.0);
	before = seconds(CLOCK_MONOTONIC);
	usleep(20 * 1000);
	took = seconds(CLOCK_MONOTONIC) - before;
	printf("usleep: not too short %d\n", took >= 0.02);
	nap.tv_nsec = 1000 * 1000 * 1000;
	expect_error("a bad time", nanosleep(&nap, NULL), EINVAL);
	struct timespec ts;
	expect_error("a bad clock", clock_gettime(1234, &ts), EINVAL);

	/* Processor time of this process: it grows while it computes. */
	clock_t ticks = clock();
	for (volatile long i = 0; i < 20 * 1000 * 1000; i++)
		;
	printf("clock grows: %d\n", clock() > ticks);
	struct tm *date = gmtime(&(time_t){ 1000000000 });
	char text[64];
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", date);
	puts(text);
	return 0;
}
