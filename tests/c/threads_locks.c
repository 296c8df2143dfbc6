/* Threads that exclude and wait for each other: mutexes, condition variables,
 * barriers, read-write locks, semaphores, spin locks, timed waits. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS 8
#define ROUNDS 2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spinlock;
static pthread_barrier_t barrier;
static sem_t items, room;
static long count, spun, pair[2];

static void run(void *(*body)(void *), const char *what)
{
	pthread_t threads[THREADS];
	long sum = 0;
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, body, (void *)i) != 0) {
			perror("pthread_create");
			exit(1);
		}
	for (long i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	printf("%s: results %ld\n", what, sum);
}

static void *count_up(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		count++;
		pthread_mutex_unlock(&mutex);
		pthread_spin_lock(&spinlock);
		spun++;
		pthread_spin_unlock(&spinlock);
	}
	return argument;
}

/* Each waits for its turn, and passes it on. */
static long turn;

static void *in_turn(void *argument)
{
	long me = (long)argument;
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % THREADS != me)
			pthread_cond_wait(&changed, &mutex);
		turn++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static long arrivals[THREADS];

static void *meet(void *argument)
{
	long me = (long)argument, leaders = 0, wrong = 0;
	for (int i = 1; i <= 100; i++) {
		arrivals[me] = i;
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			leaders++;
		for (int other = 0; other < THREADS; other++)
			wrong += arrivals[other] != i;
		pthread_barrier_wait(&barrier);
	}
	return (void *)(leaders + 1000 * wrong);
}

static void *read_or_write(void *argument)
{
	long wrong = 0;
	for (int i = 0; i < ROUNDS; i++) {
		if ((i + (long)argument) % 5 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			pair[0]++;
			pair[1]--;
			pthread_rwlock_unlock(&rwlock);
		} else {
			pthread_rwlock_rdlock(&rwlock);
			wrong += pair[0] + pair[1] != 0;
			pthread_rwlock_unlock(&rwlock);
		}
	}
	return (void *)wrong;
}

/* Half of them produce numbers, half consume them. */
#define SLOTS 4
static long slots[SLOTS];
static unsigned long put, taken;

static void *produce_or_consume(void *argument)
{
	long sum = 0;
	for (int i = 1; i <= 500; i++) {
		int produce = (long)argument % 2 == 0;
		sem_t *from = produce ? &room : &items;
		sem_t *to = produce ? &items : &room;
		while (sem_wait(from) != 0)
			;
		pthread_mutex_lock(&mutex);
		if (produce)
			slots[put++ % SLOTS] = i;
		else
			sum += slots[taken++ % SLOTS];
		pthread_mutex_unlock(&mutex);
		sem_post(to);
	}
	return (void *)sum;
}

static struct timespec soon(clockid_t clock, long nanoseconds)
{
	struct timespec time;
	clock_gettime(clock, &time);
	time.tv_nsec += nanoseconds;
	if (time.tv_nsec >= 1000000000) {
		time.tv_nsec -= 1000000000;
		time.tv_sec++;
	}
	return time;
}

static int is_over(clockid_t clock, struct timespec end)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec > end.tv_sec ||
	       (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}

static void *locks_again(void *argument)
{
	(void)argument;
	struct timespec end = soon(CLOCK_REALTIME, 20000000);
	long error = pthread_mutex_timedlock(&mutex, &end);
	return (void *)(error == ETIMEDOUT && is_over(CLOCK_REALTIME, end) ? 1L : 100L);
}

static void timed(void)
{
	struct timespec end = soon(CLOCK_REALTIME, 20000000);
	pthread_mutex_lock(&mutex);
	int error = pthread_cond_timedwait(&changed, &mutex, &end);
	pthread_mutex_unlock(&mutex);
	printf("a wait on the real clock: %d, over %d\n", error == ETIMEDOUT,
	       is_over(CLOCK_REALTIME, end));

	pthread_condattr_t attributes;
	pthread_cond_t condition;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&condition, &attributes);
	end = soon(CLOCK_MONOTONIC, 20000000);
	pthread_mutex_lock(&mutex);
	error = pthread_cond_timedwait(&condition, &mutex, &end);
	printf("a wait on the monotonic clock: %d, over %d\n", error == ETIMEDOUT,
	       is_over(CLOCK_MONOTONIC, end));
	run(locks_again, "a lock that is taken");
	pthread_mutex_unlock(&mutex);

	end = soon(CLOCK_REALTIME, 20000000);
	sem_t none;
	sem_init(&none, 0, 0);
	error = sem_timedwait(&none, &end);
	printf("a semaphore: %d\n", error == -1 && errno == ETIMEDOUT);
}

static void kinds(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutex_t kind;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&kind, &attributes);
	printf("recursive: %d", pthread_mutex_lock(&kind));
	printf(" %d", pthread_mutex_lock(&kind));
	printf(" %d", pthread_mutex_unlock(&kind));
	printf(" %d", pthread_mutex_unlock(&kind));
	printf(" %d\n", pthread_mutex_unlock(&kind) == EPERM);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&kind, &attributes);
	printf("error-checking: %d", pthread_mutex_lock(&kind));
	printf(" %d", pthread_mutex_lock(&kind) == EDEADLK);
	printf(" %d\n", pthread_mutex_trylock(&kind) == EBUSY);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE);
	pthread_barrier_init(&barrier, NULL, THREADS);
	sem_init(&items, 0, 0);
	sem_init(&room, 0, SLOTS);
	run(count_up, "count");
	printf("count %ld, by spin locks %ld\n", count, spun);
	run(in_turn, "turns");
	printf("turn %ld\n", turn);
	run(meet, "meetings");
	run(read_or_write, "readers and writers");
	printf("pair %ld %ld\n", pair[0], pair[1]);
	run(produce_or_consume, "producers and consumers");
	timed();
	kinds();
	return 0;
}
