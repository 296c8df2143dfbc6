/* /proc/self/fd and its kin, FIFOs, mknod, O_TMPFILE, ETXTBSY, extended attributes and times. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* pwritev2(2) of one part at the beginning: not every C library has the function, nor RWF_APPEND (0x10). */
static long vectored(int fd, struct iovec *iov, int flags)
{
	return syscall(SYS_pwritev2, fd, iov, 1, 0L, 0L, flags);
}

static void check(const char *what, int ok)
{
	printf("%s: %s\n", what, ok ? "ok" : strerror(errno));
}

static void fails(const char *what, int expected, long result)
{
	printf("%s: %s\n", what,
	       result == -1 && errno == expected ? "ok" : "wrong");
}

static int reads(const char *path, const char *wanted)
{
	char text[8192];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);
	if (n < 0)
		return 0;
	text[n] = 0;
	close(fd);
	return memmem(text, n, wanted, strlen(wanted)) != NULL;
}

static void links(void)
{
	char path[64], target[256];
	int ends[2];
	check("pipe", pipe(ends) == 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
	ssize_t n = readlink(path, target, sizeof target - 1);
	target[n < 0 ? 0 : n] = 0;
	check("link of a pipe", strncmp(target, "pipe:[", 6) == 0);
	int again = open(path, O_WRONLY);
	check("pipe opened again", again >= 0 && write(again, "x", 1) == 1);
	char byte;
	check("its byte", read(ends[0], &byte, 1) == 1 && byte == 'x');
	close(again);
	close(ends[1]);
	check("end of it", read(ends[0], &byte, 1) == 0);

	int fd = open("/tmp/proc_self-gone", O_RDWR | O_CREAT | O_TRUNC, 0600);
	check("write", write(fd, "still", 5) == 5 && unlink("/tmp/proc_self-gone") == 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof target - 1);
	target[n < 0 ? 0 : n] = 0;
	check("link of a file that is gone",
	      strcmp(target, "/tmp/proc_self-gone (deleted)") == 0);
	check("opened again", reads(path, "still"));
	close(fd);
	fails("closed", ENOENT, open(path, O_RDONLY));

	int memory = memfd_create("some", 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
	n = readlink(path, target, sizeof target - 1);
	target[n < 0 ? 0 : n] = 0;
	check("link of a memfd", strcmp(target, "/memfd:some (deleted)") == 0);
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", memory);
	check("fdinfo", lseek(memory, 7, SEEK_SET) == 7 && reads(path, "pos:\t7\n"));
	close(memory);
	close(ends[0]);
	check("/dev/stdin leads to it", access("/dev/fd/0", F_OK) == 0);
	struct stat one, other;
	check("cwd", chdir("/tmp") == 0 && stat("/proc/self/cwd", &one) == 0 &&
			     stat("/tmp", &other) == 0 && one.st_ino == other.st_ino);
	check("root", stat("/proc/self/root/tmp", &one) == 0 && one.st_ino == other.st_ino);
	check("comm", (fd = open("/proc/self/comm", O_WRONLY)) >= 0 && write(fd, "named", 5) == 5);
	check("comm read", reads("/proc/self/comm", "named\n"));
	check("status", reads("/proc/thread-self/status", "Name:\tnamed\n"));
	check("state", reads("/proc/self/status", "State:\tR (running)\n"));
	check("auxv", reads("/proc/self/auxv", "\6\0\0"));
	check("smaps", reads("/proc/self/smaps", "KernelPageSize:        4 kB"));
	check("rollup", reads("/proc/self/smaps_rollup", "[rollup]"));
	check("mounts", reads("/proc/mounts", " /proc proc "));
	check("limits", reads("/proc/self/limits", "Max open files"));
	check("ostype", reads("/proc/sys/kernel/ostype", "Linux\n"));
	check("online", reads("/sys/devices/system/cpu/online", "0"));
	check("cpuinfo", reads("/proc/cpuinfo", "processor\t: 0\n"));
}

static void environment(char *self)
{
	int status, ends[2];
	check("pipe", pipe(ends) == 0);
	if (fork() == 0) {
		dup2(ends[1], 1);
		char *arguments[] = { self, "environ", NULL };
		char *environment[] = { "ONE=1", "TWO=2", NULL };
		execve(self, arguments, environment);
		_exit(1);
	}
	close(ends[1]);
	char text[64];
	ssize_t n = read(ends[0], text, sizeof text);
	wait(&status);
	close(ends[0]);
	check("environ", n == 12 && memcmp(text, "ONE=1\0TWO=2\0", 12) == 0);
}

static void fifos(void)
{
	unlink("/tmp/proc_self-fifo");
	check("mkfifo", mkfifo("/tmp/proc_self-fifo", 0600) == 0);
	struct stat st;
	check("its type", stat("/tmp/proc_self-fifo", &st) == 0 && S_ISFIFO(st.st_mode));
	fails("no reader", ENXIO, open("/tmp/proc_self-fifo", O_WRONLY | O_NONBLOCK));
	int reader = open("/tmp/proc_self-fifo", O_RDONLY | O_NONBLOCK);
	struct pollfd poll_in = { .fd = reader, .events = POLLIN };
	char byte;
	check("no writer yet", read(reader, &byte, 1) == 0 && poll(&poll_in, 1, 0) == 0);
	int writer = open("/tmp/proc_self-fifo", O_WRONLY | O_NONBLOCK);
	fails("nothing yet", EAGAIN, read(reader, &byte, 1));
	check("through", write(writer, "y", 1) == 1 && read(reader, &byte, 1) == 1 && byte == 'y');
	close(writer);
	check("hang-up", poll(&poll_in, 1, 0) == 1 && poll_in.revents == POLLHUP);
	close(reader);
	pid_t child = fork();
	if (child == 0) {
		int fd = open("/tmp/proc_self-fifo", O_WRONLY);
		_exit(write(fd, "late", 4) != 4);
	}
	reader = open("/tmp/proc_self-fifo", O_RDONLY);
	char text[8];
	check("waits for a writer", read(reader, text, sizeof text) == 4);
	close(reader);
	waitpid(child, NULL, 0);
	int both = open("/tmp/proc_self-fifo", O_RDWR);
	check("both ends", write(both, "z", 1) == 1 && read(both, &byte, 1) == 1);
	close(both);
	unlink("/tmp/proc_self-fifo");
	unlink("/tmp/proc_self-socket");
	check("mknod", mknod("/tmp/proc_self-socket", S_IFSOCK | 0600, 0) == 0);
	fails("a socket", ENXIO, open("/tmp/proc_self-socket", O_RDONLY));
	unlink("/tmp/proc_self-socket");
	fails("a directory", EPERM, mknod("/tmp/proc_self-dir", S_IFDIR | 0700, 0));
}

static void temporary(void)
{
	char path[64];
	struct stat st;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	check("O_TMPFILE", fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	unlink("/tmp/proc_self-linked");
	check("linked", write(fd, "kept", 4) == 4 &&
				linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/proc_self-linked",
				       AT_SYMLINK_FOLLOW) == 0);
	check("by its name", reads("/tmp/proc_self-linked", "kept"));
	unlink("/tmp/proc_self-linked");
	close(fd);
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	fails("not to be linked", ENOENT,
	      linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/proc_self-linked", AT_SYMLINK_FOLLOW));
	close(fd);
	fails("not for reading", EINVAL, open("/tmp", O_TMPFILE | O_RDONLY, 0600));
}

static void busy(char *self)
{
	fails("running", ETXTBSY, open(self, O_WRONLY));
	fails("truncate", ETXTBSY, truncate(self, 0));
	int fd = open("/tmp/proc_self-program", O_CREAT | O_WRONLY | O_TRUNC, 0755);
	char *arguments[] = { "program", NULL };
	fails("being written", ETXTBSY, execve("/tmp/proc_self-program", arguments, NULL));
	close(fd);
	unlink("/tmp/proc_self-program");
}

static void attributes(void)
{
	char value[16], list[64];
	int fd = open("/tmp/proc_self-file", O_CREAT | O_RDWR | O_TRUNC, 0644);
	if (setxattr("/tmp/proc_self-file", "user.one", "1", 1, 0) == -1 && errno == EOPNOTSUPP) {
		/* The host's /tmp has none. */
		puts("attributes: ok");
	} else {
		int ok = fgetxattr(fd, "user.one", value, sizeof value) == 1 && value[0] == '1';
		ok &= fsetxattr(fd, "user.one", "2", 1, XATTR_CREATE) == -1 && errno == EEXIST;
		ok &= fsetxattr(fd, "user.two", "2", 1, XATTR_REPLACE) == -1 && errno == ENODATA;
		ok &= fgetxattr(fd, "user.two", value, 1) == -1 && errno == ENODATA;
		ok &= setxattr("/tmp/proc_self-file", "user.one", "long", 4, XATTR_REPLACE) == 0;
		ok &= fgetxattr(fd, "user.one", value, 2) == -1 && errno == ERANGE;
		ok &= fgetxattr(fd, "user.one", NULL, 0) == 4;
		ok &= flistxattr(fd, list, sizeof list) >= 9;
		ok &= fremovexattr(fd, "user.one") == 0;
		ok &= fremovexattr(fd, "user.one") == -1 && errno == ENODATA;
		check("attributes", ok);
	}
	fails("no such kind", EOPNOTSUPP, fsetxattr(fd, "other.one", "1", 1, 0));
	fails("flags", EINVAL, fsetxattr(fd, "user.one", "1", 1, 8));

	struct timeval tv[2] = { { 100, 5 }, { 200, 7 } };
	struct stat st;
	check("utimes", utimes("/tmp/proc_self-file", tv) == 0 && fstat(fd, &st) == 0 &&
				st.st_atim.tv_sec == 100 && st.st_atim.tv_nsec == 5000 &&
				st.st_mtim.tv_sec == 200 && st.st_mtim.tv_nsec == 7000);
	tv[0].tv_usec = 1000000;
	fails("too many", EINVAL, utimes("/tmp/proc_self-file", tv));
	struct timespec ts[2] = { { 0, UTIME_OMIT }, { 300, 9 } };
	check("utimensat", futimens(fd, ts) == 0 && fstat(fd, &st) == 0 &&
				   st.st_atim.tv_sec == 100 && st.st_mtim.tv_nsec == 9);
	struct iovec iov = { "abc", 3 };
	check("pwritev2", vectored(fd, &iov, 0) == 3 && vectored(fd, &iov, 0x10) == 3 &&
				  fstat(fd, &st) == 0 && st.st_size == 6);
	fails("flags", EOPNOTSUPP, vectored(fd, &iov, 1 << 30));
	close(fd);
	unlink("/tmp/proc_self-file");
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		char text[64];
		int fd = open("/proc/self/environ", O_RDONLY);
		ssize_t n = read(fd, text, sizeof text);
		return write(1, text, n) != n;
	}
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	self[n < 0 ? 0 : n] = 0;
	links();
	environment(self);
	fifos();
	temporary();
	busy(self);
	attributes();
	return 0;
}
