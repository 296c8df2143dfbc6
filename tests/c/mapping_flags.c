/* In which order mmap looks at its arguments, maps of /dev/zero, and futexes without rights. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 3
#endif

static void tell(const char *what, int good)
{
	printf("%s: %s\n", what, good ? "good" : strerror(errno));
}

static void map(const char *what, size_t length, int rights, int flags, int fd, long offset)
{
	void *at = mmap(NULL, length, rights, flags, fd, offset);
	tell(what, at != MAP_FAILED);
	if (at != MAP_FAILED)
		munmap(at, length);
}

int main(void)
{
	int zero = open("/dev/zero", O_RDWR), reads = open("/dev/zero", O_RDONLY);
	int null = open("/dev/null", O_RDWR);
	int file = open("/tmp/mapping_flags", O_RDWR | O_CREAT | O_TRUNC, 0600);
	ftruncate(file, 4096);
	map("length 0, bad fd", 0, PROT_READ, MAP_PRIVATE, -1, 0);
	map("length 0, good fd", 0, PROT_READ, MAP_PRIVATE, file, 0);
	map("no type", 4096, PROT_READ, 0, file, 0);
	map("anonymous without a type", 4096, PROT_READ, MAP_ANONYMOUS, -1, 0);
	map("validated", 4096, PROT_READ, MAP_SHARED_VALIDATE, file, 0);
	map("validated, unknown flag", 4096, PROT_READ, MAP_SHARED_VALIDATE | 1 << 25, file, 0);
	map("shared, unknown flag", 4096, PROT_READ, MAP_SHARED | 1 << 25, file, 0);
	map("validated, anonymous", 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0);
	map("null", 4096, PROT_READ, MAP_PRIVATE, null, 0);
	map("zero, shared, written, not open for it", 4096, PROT_WRITE, MAP_SHARED, reads, 0);
	map("zero, private, written, not open for it", 4096, PROT_WRITE, MAP_PRIVATE, reads, 0);

	char *own = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 4096);
	char *common = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0);
	if (own == MAP_FAILED || common == MAP_FAILED)
		return 1;
	printf("%d %d\n", own[5], common[5]);
	if (fork() == 0) {
		own[5] = common[5] = 7;
		_exit(0);
	}
	wait(NULL);
	printf("%d %d\n", own[5], common[5]);

	int *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	tell("wake without rights", syscall(SYS_futex, none, 1, 1, NULL, NULL, 0) == 0);
	tell("wake of the thread's own", syscall(SYS_futex, none, 129, 1, NULL, NULL, 0) == 0);
	tell("wait without rights", syscall(SYS_futex, none, 128, 0, NULL, NULL, 0) == 0);
	unlink("/tmp/mapping_flags");
	return 0;
}
