/* Locks in memory that processes share, and locks whose owner has died. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 4
#define ROUNDS 1000

static struct shared {
	pthread_mutex_t mutex, robust;
	pthread_cond_t changed;
	pthread_barrier_t barrier;
	sem_t ping, pong;
	long count, turn;
} *shared;

static int ended(pid_t pid)
{
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static int count_and_turn(long me)
{
	pthread_barrier_wait(&shared->barrier);
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&shared->mutex);
		shared->count++;
		pthread_mutex_unlock(&shared->mutex);
	}
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&shared->mutex);
		while (shared->turn % PROCESSES != me)
			pthread_cond_wait(&shared->changed, &shared->mutex);
		shared->turn++;
		pthread_cond_broadcast(&shared->changed);
		pthread_mutex_unlock(&shared->mutex);
	}
	return 0;
}

static void *takes_and_ends(void *argument)
{
	pthread_mutex_lock(&shared->robust);
	return argument;
}

/* Locks the mutex of an owner that has died, and mends it or does not. */
static void inherit(const char *who, int mend)
{
	int error = pthread_mutex_lock(&shared->robust);
	printf("after the end of %s: owner died %d", who, error == EOWNERDEAD);
	if (mend)
		printf(", mended %d", pthread_mutex_consistent(&shared->robust));
	pthread_mutex_unlock(&shared->robust);
	error = pthread_mutex_lock(&shared->robust);
	printf(", then %s\n", error == 0 ? "as ever" :
	       error == ENOTRECOVERABLE ? "not recoverable" : "?");
	if (error == 0)
		pthread_mutex_unlock(&shared->robust);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t mutex;
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &mutex);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&shared->robust, &mutex);
	pthread_condattr_t condition;
	pthread_condattr_init(&condition);
	pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->changed, &condition);
	pthread_barrierattr_t barrier;
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &barrier, PROCESSES);
	sem_init(&shared->ping, 1, 0);
	sem_init(&shared->pong, 1, 0);

	pid_t pids[PROCESSES];
	for (long i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(count_and_turn(i));
	}
	int sum = 0;
	for (int i = 0; i < PROCESSES; i++)
		sum += ended(pids[i]);
	printf("count %ld, turn %ld, statuses %d\n", shared->count,
	       shared->turn, sum);

	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < ROUNDS; i++) {
			sem_wait(&shared->ping);
			shared->count--;
			sem_post(&shared->pong);
		}
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		sem_post(&shared->ping);
		sem_wait(&shared->pong);
		shared->count--;
	}
	printf("semaphores: %d, count %ld\n", ended(pid), shared->count);

	pthread_t thread;
	pthread_create(&thread, NULL, takes_and_ends, NULL);
	pthread_join(thread, NULL);
	inherit("a thread", 1);
	pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(&shared->robust);
		_exit(0);
	}
	ended(pid);
	inherit("a process", 1);
	pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(&shared->robust);
		sem_post(&shared->ping);
		for (;;)
			pause();
	}
	sem_wait(&shared->ping);
	kill(pid, SIGKILL);
	ended(pid);
	inherit("a killed process", 1);
	/* One waits for it while its owner dies. */
	pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(&shared->robust);
		sem_post(&shared->ping);
		usleep(20000);
		_exit(0);
	}
	sem_wait(&shared->ping);
	inherit("the one it was waited for", 0);
	ended(pid);
	return 0;
}
