/* Named shared memory and a named semaphore between a parent and its children. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 4, ROUNDS = 250 };

int main(void) {
	char name[64];
	snprintf(name, sizeof name, "/shared-names-%d", getpid());
	int memory = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (memory < 0 || ftruncate(memory, 8192) != 0) {
		perror("shm_open");
		return 1;
	}
	sem_t *lock = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	if (lock == SEM_FAILED) {
		perror("sem_open");
		return 1;
	}
	volatile int *count = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (count == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (int child = 0; child < CHILDREN; child++) {
		if (fork() == 0) {
			for (int round = 0; round < ROUNDS; round++) {
				sem_wait(lock);
				int seen = *count;
				if (round % 16 == 0)
					usleep(1);
				*count = seen + 1;
				sem_post(lock);
			}
			_exit(0);
		}
	}
	for (int child = 0; child < CHILDREN; child++)
		wait(NULL);
	printf("%d counted\n", *count);
	/* Another mapping of the same name shows the same. */
	int again = shm_open(name, O_RDONLY, 0);
	const int *other = mmap(NULL, 4096, PROT_READ, MAP_SHARED, again, 0);
	printf("%d by the other mapping\n", other == MAP_FAILED ? -1 : *other);
	printf("unlinked: %d %d\n", shm_unlink(name), sem_unlink(name));
	printf("gone: %d\n", shm_open(name, O_RDONLY, 0));
	return 0;
}
