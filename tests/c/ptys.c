/* Pseudo-terminals (pty(7), ioctl_tty(2), termios(3)). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void show(const char *what, const char *bytes, ssize_t n)
{
	printf("%s: ", what);
	if (n < 0)
		printf("%s", strerror(errno));
	for (ssize_t i = 0; i < n; i++) {
		unsigned char c = bytes[i];
		if (c < ' ' || c == '\\' || c > '~')
			printf("\\%02x", c);
		else
			putchar(c);
	}
	printf(" (%zd)\n", n);
	fflush(stdout);
}

static void tell(const char *what, int result)
{
	printf("%s: %d %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void take(const char *what, int fd)
{
	char buffer[256];
	struct pollfd ready = { fd, POLLIN, 0 };
	poll(&ready, 1, 300);
	int old = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, old | O_NONBLOCK);
	ssize_t n = read(fd, buffer, sizeof buffer);
	fcntl(fd, F_SETFL, old);
	show(what, buffer, n);
}

static int number(int master)
{
	int n = -1;
	if (ioctl(master, TIOCGPTN, &n) != 0)
		perror("TIOCGPTN");
	return n;
}

static int slave_of(int master, int flags)
{
	char path[32];
	snprintf(path, sizeof path, "/dev/pts/%d", number(master));
	return open(path, flags);
}

static int pair(int *slave)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), off = 0;
	ioctl(master, TIOCSPTLCK, &off);
	*slave = slave_of(master, O_RDWR | O_NOCTTY);
	return master;
}

static void opening(void)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), locked = -1, off = 0;
	ioctl(master, TIOCGPTLCK, &locked);
	int slave = slave_of(master, O_RDWR | O_NOCTTY);
	tell("locked", locked);
	tell("open", slave);
	ioctl(master, TIOCSPTLCK, &off);
	slave = slave_of(master, O_RDWR | O_NOCTTY);
	struct stat st;
	fstat(slave, &st);
	printf("unlocked: %d, major %d, minor right %d, mode %o\n", slave > 0,
	       (int)(st.st_rdev >> 8), (int)(st.st_rdev & 255) == number(master),
	       st.st_mode & ~0777);
	int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	printf("peer: %d, isatty %d %d\n", peer > 0, isatty(peer), isatty(master));
	struct winsize size = { 0 };
	ioctl(slave, TIOCGWINSZ, &size);
	printf("window %dx%d\n", size.ws_row, size.ws_col);
	struct termios t;
	tcgetattr(slave, &t);
	printf("flags %x %x %x %x\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
	for (int i = 0; i < 17; i++)
		printf("%x ", t.c_cc[i]);
	int n;
	puts("");
	tell("TIOCGPTN of the slave", ioctl(slave, TIOCGPTN, &n));
	tell("TIOCGSID", ioctl(slave, TIOCGSID, &n));
	tell("lseek", (int)lseek(master, 0, SEEK_CUR));
	char path[32];
	snprintf(path, sizeof path, "/dev/pts/%d", number(master));
	close(peer);
	close(slave);
	close(master);
	tell("gone", open(path, O_RDWR | O_NOCTTY));
}

static void lines(void)
{
	int slave, master = pair(&slave);
	write(master, "one\rtwo", 7);
	take("echo", master);
	take("line", slave);
	take("no line", slave);
	write(master, "\x7f\x7f\x17" "x y\x17z\n", 9);
	take("edited", slave);
	take("its echo", master);
	write(master, "lost\x15kept\n", 10);
	take("killed", slave);
	take("its echo", master);
	write(master, "re\x12p\x16\x03\n", 7);
	take("reprinted", master);
	take("quoted", slave);
	write(master, "part\x04", 5);
	take("ended", slave);
	take("echo", master);
	write(slave, "out\n\ttab\n", 9);
	take("printed", master);
	struct termios t;
	tcgetattr(slave, &t);
	t.c_oflag |= XTABS;
	t.c_lflag &= ~(ECHOE | ECHOKE);
	tcsetattr(slave, TCSANOW, &t);
	write(slave, "ab\tc\n", 5);
	take("tabs", master);
	write(master, "ab\x7f\x15q\n", 6);
	take("without ECHOE", master);
	take("line", slave);
	t.c_oflag &= ~OPOST;
	t.c_lflag &= ~ECHO;
	tcsetattr(slave, TCSANOW, &t);
	write(slave, "raw\n", 4);
	write(master, "silent\n", 7);
	take("without OPOST and ECHO", master);
	take("line", slave);
	close(slave);
	close(master);
}

static void raw(void)
{
	int slave, master = pair(&slave);
	struct termios t;
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	t.c_cc[VMIN] = 3;
	t.c_cc[VTIME] = 0;
	tcsetattr(slave, TCSANOW, &t);
	write(master, "ab", 2);
	struct pollfd ready = { slave, POLLIN, 0 };
	printf("two of three: %d\n", poll(&ready, 1, 50));
	write(master, "\r\n", 2);
	printf("four: %d\n", poll(&ready, 1, 50));
	char buffer[8];
	show("read", buffer, read(slave, buffer, sizeof buffer));
	t.c_cc[VTIME] = 1;
	tcsetattr(slave, TCSANOW, &t);
	write(master, "x", 1);
	show("time between bytes", buffer, read(slave, buffer, sizeof buffer));
	t.c_cc[VMIN] = 0;
	tcsetattr(slave, TCSANOW, &t);
	show("time without bytes", buffer, read(slave, buffer, sizeof buffer));
	t.c_cc[VTIME] = 0;
	tcsetattr(slave, TCSANOW, &t);
	show("no wait", buffer, read(slave, buffer, sizeof buffer));
	close(slave);
	close(master);
}

static void flow_and_packets(void)
{
	int slave, master = pair(&slave), on = 1, got = 0;
	printf("TIOCPKT: %d", ioctl(master, TIOCPKT, &on));
	ioctl(master, TIOCGPKT, &got);
	printf(" %d\n", got);
	write(slave, "data", 4);
	take("data", master);
	write(master, "\x13", 1);
	struct pollfd ready = { master, POLLIN | POLLPRI, 0 };
	poll(&ready, 1, 100);
	printf("stopped: %x\n", ready.revents);
	take("stop", master);
	ready = (struct pollfd){ slave, POLLOUT, 0 };
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	int n = write(slave, "held", 4);
	tell("write while stopped", n);
	write(master, "\x11", 1);
	take("start", master);
	write(slave, "on", 2);
	take("on", master);
	tcflush(slave, TCIFLUSH);
	take("flush", master);
	struct termios t;
	tcgetattr(slave, &t);
	t.c_iflag &= ~IXON;
	tcsetattr(slave, TCSANOW, &t);
	take("no flow control", master);
	close(slave);
	close(master);
}

static void ends(void)
{
	int slave, master = pair(&slave);
	write(slave, "last", 4);
	close(slave);
	struct pollfd ready = { master, POLLIN | POLLOUT, 0 };
	poll(&ready, 1, 100);
	printf("slave closed: %x\n", ready.revents);
	take("rest", master);
	take("then", master);
	slave = slave_of(master, O_RDWR | O_NOCTTY);
	take("open again", master);
	close(master);
	char c;
	errno = 0;
	show("read", &c, read(slave, &c, 1));
	show("write", &c, write(slave, "x", 1));
	ready = (struct pollfd){ slave, POLLIN | POLLOUT, 0 };
	poll(&ready, 1, 0);
	printf("poll: %x\n", ready.revents);
	struct termios t;
	tell("tcgetattr", tcgetattr(slave, &t));
	tell("tcsetpgrp", tcsetpgrp(slave, 1));
	close(slave);
}

static volatile int seen[65];

static void note(int signal)
{
	seen[signal]++;
}

/* A session with a terminal: signals by key, window, foreground, and the end. */
static void session(void)
{
	int slave, master = pair(&slave);
	pid_t child = fork();
	if (child == 0) {
		close(master);
		setsid();
		tell("before", open("/dev/tty", O_RDWR));
		printf("TIOCSCTTY: %d\n", ioctl(slave, TIOCSCTTY, 0));
		int tty = open("/dev/tty", O_RDWR);
		printf("/dev/tty: %d, foreground %d, session %d\n", tty >= 0,
		       tcgetpgrp(tty) == getpid(), tcgetsid(tty) == getpid());
		signal(SIGINT, note);
		signal(SIGWINCH, note);
		signal(SIGHUP, note);
		signal(SIGCONT, note);
		fflush(stdout);
		write(slave, "ready\n", 6);
		char buffer[16];
		int status;
		ssize_t got = read(slave, buffer, sizeof buffer);
		show("after ^C", buffer, got);
		while (!seen[SIGWINCH])
			pause();
		printf("signals: %d %d\n", seen[SIGINT], seen[SIGWINCH]);
		fflush(stdout);
		/* The background reads, writes and changes. */
		for (int what = 0; what < 4; what++) {
			pid_t background = fork();
			if (background == 0) {
				setpgid(0, 0);
				struct termios t;
				tcgetattr(slave, &t);
				if (what == 0)
					read(slave, buffer, 1);
				else if (what == 1)
					tcsetattr(slave, TCSANOW, &t);
				else if (what == 2)
					write(slave, "quiet", 5);
				else {
					signal(SIGTTIN, SIG_IGN);
					int n = read(slave, buffer, 1);
					_exit(n == -1 && errno == EIO ? 9 : 8);
				}
				_exit(7);
			}
			setpgid(background, background);
			waitpid(background, &status, WUNTRACED);
			printf("background %d: stopped %d by %d, status %d\n", what,
			       WIFSTOPPED(status), WIFSTOPPED(status) ? WSTOPSIG(status) : 0,
			       WIFEXITED(status) ? WEXITSTATUS(status) : 0);
			kill(background, SIGKILL);
			waitpid(background, &status, 0);
		}
		tell("tcsetpgrp to none", tcsetpgrp(slave, 99999));
		fflush(stdout);
		write(slave, "go\n", 3);
		while (!seen[SIGHUP])
			pause();
		printf("hung up: %d, cont %d\n", seen[SIGHUP], seen[SIGCONT] > 0);
		got = write(slave, "x", 1);
		tell("write", got);
		tell("/dev/tty", open("/dev/tty", O_RDWR));
		fflush(stdout);
		_exit(3);
	}
	close(slave);
	char buffer[64];
	read(master, buffer, sizeof buffer);
	write(master, "gone\x03", 5);
	usleep(100000);
	write(master, "line\n", 5);
	usleep(100000);
	struct winsize size = { 40, 100, 0, 0 };
	ioctl(master, TIOCSWINSZ, &size);
	char all[256] = "";
	int n = 0, status;
	while (!strstr(all, "go\r\n")) {
		int got = read(master, all + n, sizeof all - 1 - n);
		if (got <= 0)
			break;
		all[n += got] = 0;
	}
	show("master", all, n);
	close(master);
	waitpid(child, &status, 0);
	printf("status %x\n", status);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 4096);
	opening();
	lines();
	raw();
	flow_and_packets();
	ends();
	fflush(stdout);
	session();
	return 0;
}
