/* Processes by descriptor, what clone shares, the memory of others, several futexes at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#define FUTEX_WAKE_PRIVATE 129
#define PIDFD_OPEN 434
#define PIDFD_SEND_SIGNAL 424
#define PIDFD_GETFD 438
#define FUTEX_WAITV 449
#define PROCESS_MADVISE 440

static void tell(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
	fflush(stdout);
}

static void descriptors(void)
{
	tell("open 0", syscall(PIDFD_OPEN, 0, 0));
	tell("open flags", syscall(PIDFD_OPEN, getpid(), 1));
	tell("open nothing", syscall(PIDFD_OPEN, 32700, 0));
	int channel[2];
	pipe(channel);
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	int fd = syscall(PIDFD_OPEN, child, 0);
	printf("cloexec %d\n", fcntl(fd, F_GETFD));
	struct pollfd ready = { fd, POLLIN, 0 };
	printf("alive: %d\n", poll(&ready, 1, 0));
	tell("signal 0", syscall(PIDFD_SEND_SIGNAL, fd, 0, NULL, 0));
	tell("signal 99", syscall(PIDFD_SEND_SIGNAL, fd, 99, NULL, 0));
	tell("flags", syscall(PIDFD_SEND_SIGNAL, fd, 0, NULL, 64));
	tell("no pidfd", syscall(PIDFD_SEND_SIGNAL, channel[0], 0, NULL, 0));
	int got = syscall(PIDFD_GETFD, fd, channel[1], 0);
	write(got, "x", 1);
	char c = 0;
	read(channel[0], &c, 1);
	printf("getfd: %c %d\n", c, fcntl(got, F_GETFD));
	tell("getfd of none", syscall(PIDFD_GETFD, fd, 900, 0));
	siginfo_t info;
	memset(&info, 0, sizeof info);
	tell("wait nohang", waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG));
	tell("wait no pidfd", waitid(P_PIDFD, channel[0], &info, WEXITED));
	tell("kill", syscall(PIDFD_SEND_SIGNAL, fd, SIGKILL, NULL, 0));
	printf("ended: %d %x\n", poll(&ready, 1, -1), POLLIN);
	tell("zombie", syscall(PIDFD_SEND_SIGNAL, fd, 0, NULL, 0));
	tell("wait", waitid(P_PIDFD, fd, &info, WEXITED));
	printf("%d %d %d\n", info.si_pid == child, info.si_code, info.si_status);
	tell("reaped", syscall(PIDFD_SEND_SIGNAL, fd, 0, NULL, 0));
	tell("wait again", waitid(P_PIDFD, fd, &info, WEXITED));
}

static char stack[65536];

static int closes(void *fd)
{
	close(*(int *)fd);
	return 0;
}

static int unshares(void *fd)
{
	int result = unshare(CLONE_FILES);
	close(*(int *)fd);
	return result;
}

static int executes(void *fd)
{
	/* A program that is not there leaves the table in common. */
	execl("/nothing", "nothing", NULL);
	return fcntl(*(int *)fd, F_GETFD) >= 0 ? 4 : 5;
}

static void sharing(void)
{
	int fd = dup(1), status, pidfd = -1;
	pid_t child = clone(closes, stack + sizeof stack, SIGCHLD, &fd);
	waitpid(child, &status, 0);
	printf("a copy: %d\n", fcntl(fd, F_GETFD));
	child = clone(unshares, stack + sizeof stack, CLONE_FILES | SIGCHLD, &fd);
	waitpid(child, &status, 0);
	printf("unshared: %x %d\n", status, fcntl(fd, F_GETFD));
	child = clone(executes, stack + sizeof stack, CLONE_FILES | SIGCHLD, &fd);
	waitpid(child, &status, 0);
	printf("in common: %x\n", status);
	child = clone(closes, stack + sizeof stack, CLONE_FILES | CLONE_VM | SIGCHLD, &fd);
	waitpid(child, &status, 0);
	errno = 0;
	tell("closed by the child", fcntl(fd, F_GETFD));
	fd = 900;
	child = clone(closes, stack + sizeof stack, CLONE_PIDFD | SIGCHLD, &fd, &pidfd);
	siginfo_t info;
	tell("CLONE_PIDFD", waitid(P_PIDFD, pidfd, &info, WEXITED));
	printf("%d\n", info.si_pid == child);
	tell("both", clone(closes, stack + sizeof stack, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD,
			   &fd, &pidfd));
	tell("bad address", clone(closes, stack + sizeof stack, CLONE_PIDFD | SIGCHLD, &fd, (void *)8));
	child = fork();
	if (child == 0) {
		pid_t sibling = clone(closes, stack + sizeof stack, CLONE_PARENT | SIGCHLD, &fd);
		errno = 0;
		int mine = waitpid(sibling, NULL, 0);
		_exit(sibling > 0 && mine == -1 && errno == ECHILD ? 3 : 4);
	}
	waitpid(child, &status, 0);
	printf("CLONE_PARENT: %x\n", status);
	child = wait(&status);
	printf("its child: %d %x\n", child > 0, status);
	child = clone(closes, stack + sizeof stack, 0, &fd);
	tell("without a signal", waitpid(child, &status, WNOHANG));
	printf("by __WALL: %d\n", waitpid(child, &status, __WALL) == child);
	tell("unshare", unshare(0x1));
	tell("unshare files", unshare(CLONE_FILES));
}

static void memory(void)
{
	static char theirs[10000], mine[10000];
	strcpy(theirs + 4090, "over the page");
	int channel[2];
	pipe(channel);
	pid_t child = fork();
	if (child == 0) {
		char c;
		read(channel[0], &c, 1);
		_exit(strcmp(theirs + 8, "written") == 0 ? 6 : 7);
	}
	struct iovec local = { mine, 20 }, remote = { theirs + 4090, 20 };
	tell("read", process_vm_readv(child, &local, 1, &remote, 1, 0));
	printf("%s\n", mine);
	strcpy(mine, "written");
	local.iov_len = remote.iov_len = 8;
	remote.iov_base = theirs + 8;
	tell("write", process_vm_writev(child, &local, 1, &remote, 1, 0));
	struct iovec two[2] = { { theirs, 5 }, { (void *)4096, 5 } };
	local.iov_len = 10;
	tell("half", process_vm_readv(child, &local, 1, two, 2, 0));
	tell("bad", process_vm_readv(child, &local, 1, two + 1, 1, 0));
	tell("flags", process_vm_readv(child, &local, 1, &remote, 1, 1));
	tell("nothing", process_vm_readv(child, &local, 0, &remote, 1, 0));
	tell("none", process_vm_readv(32700, &local, 1, &remote, 1, 0));
	write(channel[1], "x", 1);
	int status;
	waitpid(child, &status, 0);
	printf("status %x\n", status);
	tell("kcmp files", syscall(SYS_kcmp, getpid(), getpid(), 2, 0, 0));
	int copy = dup(1);
	tell("kcmp dup", syscall(SYS_kcmp, getpid(), getpid(), 0, 1, copy));
	printf("kcmp other: %d\n", syscall(SYS_kcmp, getpid(), getpid(), 0, 1, channel[0]) > 0);
	tell("kcmp kind", syscall(SYS_kcmp, getpid(), getpid(), 99, 0, 0));
	close(copy);
	char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int n = 0; n < 3; n++)
		pages[n * 4096] = 'a' + n;
	tell("remap_file_pages", remap_file_pages(pages, 4096, 0, 2, 0));
	printf("%c%c%c\n", pages[0], pages[4096], pages[8192]);
	char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	tell("of private memory", remap_file_pages(own, 4096, 0, 0, 0));
	int self = syscall(PIDFD_OPEN, getpid(), 0);
	struct iovec range = { own, 4096 };
	tell("process_madvise", syscall(PROCESS_MADVISE, self, &range, 1, MADV_COLD, 0));
	tell("its flags", syscall(PROCESS_MADVISE, self, &range, 1, MADV_COLD, 1));
	close(self);
}

struct word {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static uint32_t words[3];

static void *wakes(void *unused)
{
	usleep(50000);
	syscall(SYS_futex, &words[1], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return NULL;
}

static void futexes(void)
{
	struct word list[3];
	for (int n = 0; n < 3; n++)
		list[n] = (struct word){ 0, (uintptr_t)&words[n], 2 | 128, 0 };
	pthread_t thread;
	pthread_create(&thread, NULL, wakes, NULL);
	tell("woken", syscall(FUTEX_WAITV, list, 3, 0, NULL, 0));
	pthread_join(thread, NULL);
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec = (until.tv_nsec + 20000000) % 1000000000;
	tell("time", syscall(FUTEX_WAITV, list, 3, 0, &until, CLOCK_MONOTONIC));
	list[2].value = 5;
	tell("changed", syscall(FUTEX_WAITV, list, 3, 0, NULL, 0));
	tell("none", syscall(FUTEX_WAITV, list, 0, 0, NULL, 0));
	tell("many", syscall(FUTEX_WAITV, list, 129, 0, NULL, 0));
	tell("flags", syscall(FUTEX_WAITV, list, 1, 1, NULL, 0));
	tell("bad list", syscall(FUTEX_WAITV, 8, 1, 0, NULL, 0));
	tell("clock", syscall(FUTEX_WAITV, list, 1, 0, &until, 7));
	list[0].reserved = 1;
	tell("reserved", syscall(FUTEX_WAITV, list, 1, 0, NULL, 0));
	list[0] = (struct word){ 0, 4096, 2 | 128, 0 };
	tell("bad word", syscall(FUTEX_WAITV, list, 1, 0, NULL, 0));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 4096);
	descriptors();
	fflush(stdout);
	sharing();
	fflush(stdout);
	memory();
	futexes();
	return 0;
}
