/* What each thread has of its own: variables, keys with destructors, errno,
 * numbers, its stack; what happens once; results and detached threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 16

static __thread long own = 41;
static __thread char own_text[200] = "initial";
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long times, destroyed;
static pthread_barrier_t barrier;
static sem_t detached;

static void happens_once(void) { times++; }
static void destroy(void *value)
{
	__atomic_fetch_add(&destroyed, (long)value, __ATOMIC_RELAXED);
}

static void *body(void *argument)
{
	long me = (long)argument, wrong = 0;
	wrong += own != 41 || strcmp(own_text, "initial") != 0;
	own = me;
	snprintf(own_text, sizeof own_text, "text of %ld", me);
	pthread_once(&once, happens_once);
	pthread_setspecific(key, (void *)(me + 1));
	pthread_barrier_wait(&barrier);
	if (me % 2)
		open("/no/such/file", O_RDONLY);
	else
		close(-1);
	int expected = me % 2 ? ENOENT : EBADF;
	pthread_barrier_wait(&barrier);
	char text[sizeof own_text];
	snprintf(text, sizeof text, "text of %ld", me);
	wrong += own != me || strcmp(own_text, text) != 0;
	wrong += errno != expected;
	wrong += pthread_getspecific(key) != (void *)(me + 1);
	wrong += syscall(SYS_gettid) == getpid();
	wrong += !pthread_equal(pthread_self(), pthread_self());
	return (void *)(wrong * 1000 + me);
}

/* Uses much of a stack that was asked to be large. */
static void *deep(void *argument)
{
	volatile char room[3 << 20];
	for (size_t i = 0; i < sizeof room; i += 4096)
		room[i] = (char)i;
	long sum = 0;
	for (size_t i = 0; i < sizeof room; i += 4096)
		sum += room[i] != (char)i;
	(void)argument;
	return (void *)sum;
}

static void *on_given_stack(void *stack)
{
	char here;
	uintptr_t address = (uintptr_t)&here, start = (uintptr_t)stack;
	return (void *)(long)(address > start && address < start + (256 << 10));
}

static void *exits(void *argument)
{
	pthread_exit((char *)argument + 1);
}

static void *goes_alone(void *argument)
{
	sem_post(&detached);
	return argument;
}

static void *ends_last(void *argument)
{
	(void)argument;
	usleep(20000);
	printf("the last thread ends\n");
	exit(0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	pthread_t threads[THREADS], thread;
	void *result;
	long sum = 0;
	pthread_key_create(&key, destroy);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, body, (void *)i);
	for (long i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	printf("sum %ld, once %ld, destroyed %ld, own %ld %s\n", sum, times,
	       destroyed, own, own_text);

	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 4 << 20);
	pthread_create(&thread, &attributes, deep, NULL);
	pthread_join(thread, &result);
	printf("a large stack: %ld wrong\n", (long)result);
	char *stack = aligned_alloc(4096, 256 << 10);
	pthread_attr_setstack(&attributes, stack, 256 << 10);
	pthread_create(&thread, &attributes, on_given_stack, stack);
	pthread_join(thread, &result);
	printf("on the given stack: %ld\n", (long)result);
	free(stack);

	pthread_create(&thread, NULL, exits, (void *)10L);
	pthread_join(thread, &result);
	printf("pthread_exit: %ld\n", (long)result);
	sem_init(&detached, 0, 0);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 50; i++)
		pthread_create(&thread, &attributes, goes_alone, NULL);
	for (int i = 0; i < 50; i++)
		sem_wait(&detached);
	printf("detached threads have run\n");
	cpu_set_t cpus;
	printf("affinity: %d\n",
	       pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus) == 0 &&
		       CPU_COUNT(&cpus) >= 1);

	/* The first thread ends before the process. */
	pthread_create(&thread, NULL, ends_last, NULL);
	pthread_exit(NULL);
}
