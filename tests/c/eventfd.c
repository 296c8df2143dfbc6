// Event counters and timers that are files: what they count, when they block, what they refuse.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Not a constant, so that the compiler does not complain.
static void *volatile wild = (void *)8;

static void result(const char *what, long value) {
    if (value < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, value);
}

static int ready(int fd) {
    struct pollfd poll_fd = {fd, POLLIN | POLLOUT, 0};
    poll(&poll_fd, 1, 0);
    return poll_fd.revents;
}

static void put(const char *what, int fd, uint64_t count) { result(what, write(fd, &count, 8)); }

static void get(const char *what, int fd) {
    uint64_t count = 77;
    long n = read(fd, &count, 8);
    if (n == 8)
        printf("%s: count %llu\n", what, (unsigned long long)count);
    else
        result(what, n);
}

static void counters(void) {
    int fd = eventfd(3, EFD_NONBLOCK);
    printf("ready %x\n", ready(fd));
    get("first", fd);
    get("empty", fd);
    printf("ready %x\n", ready(fd));
    put("add", fd, 5);
    put("add", fd, 6);
    get("both", fd);
    put("too much", fd, UINT64_MAX);
    put("most", fd, UINT64_MAX - 1);
    printf("ready %x\n", ready(fd));
    put("full", fd, 1);
    get("most", fd);
    char small[4];
    result("short read", read(fd, small, 4));
    result("short write", write(fd, small, 4));
    result("wild read", read(fd, wild, 8));
    put("add", fd, 2);
    result("wild read", read(fd, wild, 8));
    result("wild write", write(fd, wild, 8));
    result("seek in a pread", pread(fd, small, 0, 0) < 0 ? 0 : 0);
    struct stat status;
    fstat(fd, &status);
    printf("type %o\n", status.st_mode & S_IFMT);
    close(fd);
    fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
    for (int i = 0; i < 4; i++)
        get("semaphore", fd);
    close(fd);
    result("bad flags", eventfd(0, 0x40));

    // Two processes count to each other.
    int to = eventfd(0, 0), from = eventfd(0, 0);
    if (fork() == 0) {
        for (int i = 0; i < 1000; i++) {
            uint64_t count;
            read(to, &count, 8);
            count++;
            write(from, &count, 8);
        }
        _exit(0);
    }
    uint64_t sum = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t count = i + 1;
        write(to, &count, 8);
        read(from, &count, 8);
        sum += count;
    }
    wait(NULL);
    printf("sum %llu\n", (unsigned long long)sum);
    // Killed while it waits.
    pid_t child = fork();
    if (child == 0) {
        uint64_t count;
        read(to, &count, 8);
        _exit(1);
    }
    usleep(20000);
    kill(child, SIGKILL);
    int status_of_child;
    waitpid(child, &status_of_child, 0);
    printf("killed by %d\n", WTERMSIG(status_of_child));
    put("add", to, 9);
    get("not taken by the dead", to);
}

static void nothing(int signal) { (void)signal; }

static void interruption(void) {
    int fd = eventfd(0, 0);
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    get("interrupted", fd);
}

static void timers(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    get("not set", fd);
    struct itimerspec never = {0}, was, soon = {{0, 10000000}, {0, 20000000}};
    result("set", timerfd_settime(fd, 0, &soon, &was));
    printf("before %ld %ld\n", was.it_value.tv_sec + was.it_value.tv_nsec,
           was.it_interval.tv_nsec);
    timerfd_gettime(fd, &was);
    printf("left %d interval %ld\n", was.it_value.tv_nsec > 0, was.it_interval.tv_nsec);
    struct pollfd poll_fd = {fd, POLLIN, 0};
    printf("poll %d\n", poll(&poll_fd, 1, 5000));
    usleep(55000);
    uint64_t count = 0;
    read(fd, &count, 8);
    printf("several: %d\n", count >= 4);
    result("stop", timerfd_settime(fd, 0, &never, NULL));
    get("stopped", fd);
    timerfd_gettime(fd, &was);
    printf("left %ld\n", was.it_value.tv_sec + was.it_value.tv_nsec);
    // In the past.
    struct itimerspec past = {{0, 0}, {1, 0}};
    result("past", timerfd_settime(fd, TFD_TIMER_ABSTIME, &past, NULL));
    poll(&poll_fd, 1, 5000);
    get("past", fd);
    close(fd);

    fd = timerfd_create(CLOCK_REALTIME, 0);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct itimerspec at = {{0, 0}, {now.tv_sec + 1, now.tv_nsec}};
    result("absolute", timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL));
    get("absolute", fd);
    struct timespec then;
    clock_gettime(CLOCK_REALTIME, &then);
    long late = (then.tv_sec - now.tv_sec) * 1000 + (then.tv_nsec - now.tv_nsec) / 1000000 - 1000;
    printf("late by no second: %d\n", late >= 0 && late < 1000);
    result("bad clock", timerfd_create(99, 0));
    result("bad flags", timerfd_create(CLOCK_MONOTONIC, 1));
    struct itimerspec bad = {{0, 0}, {0, 1000000000}};
    result("bad time", timerfd_settime(fd, 0, &bad, NULL));
    result("bad pointer", timerfd_settime(fd, 0, wild, NULL));
    result("no timer", timerfd_settime(0, 0, &never, NULL));
    char byte = 0;
    result("write", write(fd, &byte, 1));
    // select sees it.
    struct itimerspec short_time = {{0, 0}, {0, 1000000}};
    timerfd_settime(fd, 0, &short_time, NULL);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    struct timespec limit = {5, 0};
    printf("pselect %d\n", pselect(fd + 1, &set, NULL, NULL, &limit, NULL));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    counters();
    interruption();
    timers();
    return 0;
}
