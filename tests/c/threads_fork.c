/* fork, posix_spawn and execve by programs with several threads. */
#define _GNU_SOURCE
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long prepared, parents, children, stop, allocations;

static void prepare(void) { pthread_mutex_lock(&mutex); prepared++; }
static void in_parent(void) { parents++; pthread_mutex_unlock(&mutex); }
static void in_child(void) { children++; pthread_mutex_unlock(&mutex); }

/* Keeps the locks of malloc and of this program busy. */
static void *busy(void *argument)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pthread_mutex_lock(&mutex);
		allocations++;
		pthread_mutex_unlock(&mutex);
		free(memset(malloc(200), 1, 200));
	}
	return argument;
}

static int ended(pid_t pid)
{
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static void *adds(void *argument)
{
	return (char *)argument + 1;
}

/* A child's own threads. */
static int with_threads(void)
{
	pthread_t thread;
	void *result = (void *)4L;
	free(memset(malloc(300), 2, 300));
	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, adds, result) != 0 ||
		    pthread_join(thread, &result) != 0)
			return 100;
	return (int)(long)result;
}

static void *forks(void *argument)
{
	long sum = 0;
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(with_threads());
		sum += ended(pid);
	}
	(void)argument;
	return (void *)sum;
}

static void *spawns(void *name)
{
	long sum = 0;
	for (int i = 0; i < 10; i++) {
		pid_t pid;
		char *arguments[] = { name, "exit", NULL };
		if (posix_spawn(&pid, name, NULL, NULL, arguments, environ) != 0)
			return (void *)-1L;
		sum += ended(pid);
	}
	return (void *)sum;
}

static void *executes(void *name)
{
	execl(name, name, "again", NULL);
	perror("execl");
	exit(1);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "exit") == 0)
		return 3;
	if (argc > 1) {
		printf("again, by a thread: %s\n", argv[1]);
		return with_threads();
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	pthread_t threads[5], thread;
	void *result;
	pthread_atfork(prepare, in_parent, in_child);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, busy, NULL);
	for (int i = 3; i < 5; i++)
		pthread_create(&threads[i], NULL, forks, NULL);
	for (int i = 3; i < 5; i++) {
		pthread_join(threads[i], &result);
		printf("forks by a thread: exit statuses sum %ld\n", (long)result);
	}
	printf("prepared %ld, in the parent %ld, in children %ld\n", prepared,
	       parents, children);
	pthread_create(&thread, NULL, spawns, argv[0]);
	pthread_join(thread, &result);
	printf("posix_spawn by a thread: %ld\n", (long)result);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		/* All the other threads end with the exec. */
		pthread_t others[2];
		for (int i = 0; i < 2; i++)
			pthread_create(&others[i], NULL, busy, NULL);
		pthread_create(&thread, NULL, executes, argv[0]);
		pthread_join(thread, NULL);
	}
	printf("it ended with %d\n", ended(pid));
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("the busy ones have done something: %d\n", allocations > 0);
	return 0;
}
