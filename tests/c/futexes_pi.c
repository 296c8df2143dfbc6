/* Locks whose word names the holder (futex(2), FUTEX_LOCK_PI). */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FUTEX_LOCK_PI 6
#define FUTEX_UNLOCK_PI 7
#define FUTEX_TRYLOCK_PI 8
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_CMP_REQUEUE_PI 12
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_WAITERS 0x80000000u
#define FUTEX_TID_MASK 0x3fffffffu

static uint32_t lock, condition;
static volatile int held, counter;

static long futex(uint32_t *word, int operation, uint32_t value, void *time, uint32_t *second,
		  uint32_t third)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, time, second, third);
}

static void tell(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
	fflush(stdout);
}

static void *holds(void *unused)
{
	futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	held = 1;
	usleep(100000);
	printf("waiters: %d\n", (lock & FUTEX_WAITERS) != 0);
	fflush(stdout);
	futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return NULL;
}

static void *counts(void *unused)
{
	uint32_t tid = syscall(SYS_gettid);
	for (int n = 0; n < 2000; n++) {
		uint32_t free = 0;
		if (!__atomic_compare_exchange_n(&lock, &free, tid, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
		counter = counter + 1;
		uint32_t own = tid;
		if (!__atomic_compare_exchange_n(&lock, &own, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	}
	return NULL;
}

static void *waits(void *unused)
{
	long result = futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock, 0);
	int own = (lock & FUTEX_TID_MASK) == syscall(SYS_gettid);
	long released = futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return (void *)(intptr_t)(result == 0 && own && released == 0);
}

static void *robust(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

int main(void)
{
	pthread_t threads[4];
	uint32_t tid = syscall(SYS_gettid);
	tell("unlock", futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	tell("lock", futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	printf("own: %d\n", lock == tid);
	tell("again", futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	tell("try", futex(&lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	tell("unlock", futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	printf("free: %u\n", lock);
	lock = 4000000;
	tell("no holder", futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	lock = 0;
	tell("odd", futex((uint32_t *)((char *)&lock + 1), FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	tell("bad", futex((uint32_t *)4096, FUTEX_LOCK_PI, 0, NULL, NULL, 0));

	pthread_create(threads, NULL, holds, NULL);
	while (!held)
		usleep(1000);
	tell("try held", futex(&lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	struct timespec past = { 1, 0 };
	tell("too late", futex(&lock, FUTEX_LOCK_PI, 0, &past, NULL, 0));
	tell("wait", futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	printf("own: %d\n", (lock & FUTEX_TID_MASK) == tid);
	tell("unlock", futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	pthread_join(threads[0], NULL);
	printf("free: %u\n", lock);

	for (int n = 0; n < 4; n++)
		pthread_create(threads + n, NULL, counts, NULL);
	for (int n = 0; n < 4; n++)
		pthread_join(threads[n], NULL);
	printf("counted %d, free %u\n", counter, lock);

	for (int n = 0; n < 3; n++)
		pthread_create(threads + n, NULL, waits, NULL);
	usleep(100000);
	tell("changed", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)10, &lock, 7));
	tell("itself", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)10, &condition, 0));
	tell("two", futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, (void *)10, &lock, 0));
	tell("all", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)10, &lock, 0));
	for (int n = 0; n < 3; n++) {
		void *good;
		pthread_join(threads[n], &good);
		printf("waiter: %d\n", good != NULL);
	}
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	tell("time", futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, &now, &lock, 0));
	tell("value", futex(&condition, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &lock, 0));

	pthread_mutexattr_t attributes;
	pthread_mutex_t mutex;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	printf("mutex %d\n", pthread_mutex_init(&mutex, &attributes));
	pthread_create(threads, NULL, robust, &mutex);
	pthread_join(threads[0], NULL);
	printf("owner died: %d\n", pthread_mutex_lock(&mutex) == EOWNERDEAD);
	printf("consistent: %d\n", pthread_mutex_consistent(&mutex));
	printf("unlock: %d\n", pthread_mutex_unlock(&mutex));
	return 0;
}
