/* Thousands of short threads, some at a time, and threads that make threads. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define AT_A_TIME 40
#define BATCHES 60

static long count;

static void *shortly(void *argument)
{
	char *memory = malloc(100 + (long)argument);
	memory[0] = 1;
	__atomic_fetch_add(&count, memory[0], __ATOMIC_RELAXED);
	free(memory);
	return argument;
}

/* Each makes two more, and returns how many there were below it and itself. */
static void *tree(void *argument)
{
	long depth = (long)argument, sum = 1;
	pthread_t threads[2];
	if (depth == 0)
		return (void *)sum;
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, tree, (void *)(depth - 1)) != 0)
			return (void *)-1000000L;
	for (int i = 0; i < 2; i++) {
		void *result;
		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	return (void *)sum;
}

int main(void)
{
	long sum = 0;
	for (int batch = 0; batch < BATCHES; batch++) {
		pthread_t threads[AT_A_TIME];
		for (long i = 0; i < AT_A_TIME; i++)
			if (pthread_create(&threads[i], NULL, shortly, (void *)i) != 0) {
				perror("pthread_create");
				return 1;
			}
		for (int i = 0; i < AT_A_TIME; i++) {
			void *result;
			pthread_join(threads[i], &result);
			sum += (long)result;
		}
	}
	printf("%ld threads, results %ld\n", count, sum);
	printf("a tree of %ld threads\n", (long)tree((void *)7L));
	return 0;
}
