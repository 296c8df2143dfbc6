/* pthread_cancel: at a cancellation point, with clean-up handlers, held back, and
 * at any instruction; threads that get signals. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static sem_t ready;
static int ends[2], order, volatile_count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void clean(void *what)
{
	order = order * 10 + (int)(long)what;
}

static void unlock(void *lock)
{
	order = order * 10 + 7;
	pthread_mutex_unlock(lock);
}

static void *reads(void *argument)
{
	char byte;
	pthread_cleanup_push(clean, (void *)1L);
	pthread_cleanup_push(clean, (void *)2L);
	sem_post(&ready);
	while (read(ends[0], &byte, 1) != 1)
		;
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return argument;
}

static void *waits(void *argument)
{
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(unlock, &mutex);
	sem_post(&ready);
	for (;;)
		pthread_cond_wait(&never, &mutex);
	pthread_cleanup_pop(0);
	return argument;
}

static void *holds_back(void *argument)
{
	int old;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	sem_post(&ready);
	usleep(20000);
	order = order * 10 + 3;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	pthread_testcancel();
	order = order * 10 + 4;
	return argument;
}

static void *computes(void *argument)
{
	int old;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	sem_post(&ready);
	for (;;)
		__atomic_fetch_add(&volatile_count, 1, __ATOMIC_RELAXED);
	return argument;
}

static void cancel(void *(*body)(void *), const char *what)
{
	pthread_t thread;
	void *result = NULL;
	order = 0;
	pthread_create(&thread, NULL, body, NULL);
	sem_wait(&ready);
	usleep(2000);
	int error = pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("%s: %d, canceled %d, handlers %d\n", what, error,
	       result == PTHREAD_CANCELED, order);
}

static pthread_t hit;
static volatile sig_atomic_t hits;

static void on_signal(int number)
{
	hits += number == SIGUSR1 && pthread_equal(pthread_self(), hit);
}

static void *gets_signals(void *argument)
{
	sem_post(&ready);
	while (hits < 5)
		usleep(1000);
	return argument;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	sem_init(&ready, 0, 0);
	if (pipe(ends) != 0)
		return 1;
	cancel(reads, "a read");
	cancel(waits, "a condition variable");
	printf("its mutex is free: %d\n", pthread_mutex_trylock(&mutex));
	cancel(holds_back, "held back");
	cancel(computes, "at any instruction");

	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&hit, NULL, gets_signals, NULL);
	sem_wait(&ready);
	for (int i = 1; i <= 5; i++) {
		pthread_kill(hit, SIGUSR1);
		while (hits < i)
			usleep(100);
	}
	pthread_join(hit, NULL);
	printf("signals for one thread: %d\n", (int)hits);
	return 0;
}
