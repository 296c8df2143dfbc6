/* mmap, munmap, mprotect and brk, and a heap that uses both. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

/* Says how a call that should fail did; a parameter of its own, so that errno is read
 * after the call. */
static void expect_error(const char *what, long result, int error)
{
	printf("%s: %ld, the expected error %d\n", what, result, errno == error);
}

/* How a child ends that writes one byte there. */
static void write_in_child(const char *what, volatile char *address)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		*address = 1;
		_exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s: signal %d\n", what, WTERMSIG(status));
	else
		printf("%s: exit %d\n", what, WEXITSTATUS(status));
}

static void mappings(void)
{
	size_t size = 64 * PAGE;
	char *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	size_t nonzero = 0;
	for (size_t i = 0; i < size; i++)
		nonzero += area[i] != 0;
	printf("fresh bytes that are not zero: %zu\n", nonzero);
	memset(area, 0x5a, size);

	printf("mprotect: %d\n", mprotect(area + 8 * PAGE, PAGE, PROT_READ));
	write_in_child("read-only page", area + 8 * PAGE);
	write_in_child("its neighbour", area + 9 * PAGE);
	printf("munmap: %d\n", munmap(area + 16 * PAGE, 4 * PAGE));
	write_in_child("hole", area + 17 * PAGE);
	expect_error("mprotect over the hole", mprotect(area, size, PROT_READ),
		     ENOMEM);
	printf("mprotect back: %d\n",
	       mprotect(area, 16 * PAGE, PROT_READ | PROT_WRITE));
	char *fixed = mmap(area + 16 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	printf("fixed where asked: %d, zero %d, beside it %x\n",
	       fixed == area + 16 * PAGE, fixed[0] == 0, area[0]);
	printf("munmap all: %d\n", munmap(area, size));
	printf("munmap of nothing: %d\n", munmap(area, size));
	expect_error("munmap unaligned", munmap(area + 1, PAGE), EINVAL);

	int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap shared");
		exit(1);
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		*shared = 12345;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	printf("from the child by shared memory: %d\n", *shared);
}

/* By the system call itself: musl's sbrk refuses to move the break. The break ends
 * where it began, so that the C library's heap does not notice. */
static void program_break(void)
{
	long first = syscall(SYS_brk, 0);
	long start = (first + PAGE - 1) / PAGE * PAGE;
	volatile char *bytes = (char *)start;
	long end = start + 3 * PAGE;
	printf("brk grows: %d\n", syscall(SYS_brk, end) == end);
	memset((char *)bytes, 0x77, 3 * PAGE);
	end = start + PAGE;
	printf("brk shrinks: %d\n", syscall(SYS_brk, end) == end);
	write_in_child("the last page before the break", bytes + PAGE - 1);
	write_in_child("beyond the break", bytes + 2 * PAGE);
	end = start + 3 * PAGE;
	printf("brk grows again: %d\n", syscall(SYS_brk, end) == end);
	printf("the old page kept %x, the new page is zero %d\n", bytes[0],
	       bytes[2 * PAGE] == 0);
	printf("a break in kernel space is refused: %d\n",
	       syscall(SYS_brk, -4096L) == end);
	printf("back where it began: %d\n", syscall(SYS_brk, first) == first);
}

/* A few thousand allocations of mixed sizes, freed in another order. */
static void heap(void)
{
	enum { COUNT = 2000 };
	static unsigned char *blocks[COUNT];
	static size_t sizes[COUNT];
	uint32_t seed = 1;
	size_t total = 0, bad = 0;
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < COUNT; i++) {
			seed = seed * 1664525 + 1013904223;
			size_t size = 1 + (seed >> 8) % 3000;
			if (i % 400 == 0)
				size = 300000;
			sizes[i] = size;
			total += size;
			blocks[i] = malloc(size);
			if (blocks[i] == NULL) {
				puts("malloc failed");
				exit(1);
			}
			memset(blocks[i], i & 0xff, size);
		}
		for (int i = 0; i < COUNT; i += 3) {
			blocks[i] = realloc(blocks[i], sizes[i] * 2);
			if (blocks[i] == NULL) {
				puts("realloc failed");
				exit(1);
			}
		}
		for (int i = 0; i < COUNT; i++) {
			int at = (i * 7) % COUNT;
			for (size_t k = 0; k < sizes[at]; k++)
				bad += blocks[at][k] != (at & 0xff);
			free(blocks[at]);
		}
	}
	printf("heap: %zu bytes in all, %zu wrong\n", total, bad);
}

int main(void)
{
	mappings();
	program_break();
	heap();
	return 0;
}
