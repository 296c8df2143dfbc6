// epoll: levels, edges, oneshot, exclusive, nested instances, closed descriptors, many of them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Not a constant, so that the compiler does not complain.
static void *volatile wild = (void *)8;
static volatile int minus_one = -1;

static void result(const char *what, long value) {
    if (value < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, value);
}

static int add(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {events, {.u64 = data}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int change(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {events, {.u64 = data}};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static void show(const char *what, int epoll) {
    struct epoll_event events[8];
    int n = epoll_wait(epoll, events, 8, 0);
    printf("%s: %d", what, n);
    for (int i = 0; i < n; i++)
        printf(" %x/%llu", events[i].events, (unsigned long long)events[i].data.u64);
    printf("\n");
}

static void levels_and_edges(void) {
    int epoll = epoll_create1(0);
    int pipe_fds[2];
    pipe(pipe_fds);
    int in = pipe_fds[0], out = pipe_fds[1];
    result("add", add(epoll, in, EPOLLIN, 1));
    result("again", add(epoll, in, EPOLLIN, 1));
    show("empty", epoll);
    write(out, "a", 1);
    show("level", epoll);
    show("level", epoll);
    char byte;
    read(in, &byte, 1);
    show("read", epoll);
    result("edge", change(epoll, in, EPOLLIN | EPOLLET, 2));
    write(out, "b", 1);
    show("edge", epoll);
    show("edge", epoll);
    write(out, "c", 1);
    show("second edge", epoll);
    read(in, &byte, 1);
    show("one left", epoll);
    result("rearm", change(epoll, in, EPOLLIN | EPOLLET, 3));
    show("rearmed", epoll);
    read(in, &byte, 1);
    result("oneshot", change(epoll, in, EPOLLIN | EPOLLONESHOT, 4));
    write(out, "d", 1);
    show("oneshot", epoll);
    write(out, "e", 1);
    show("oneshot", epoll);
    result("rearm", change(epoll, in, EPOLLIN | EPOLLONESHOT, 5));
    show("rearmed", epoll);
    result("writer", add(epoll, out, EPOLLOUT, 6));
    show("writer", epoll);
    result("delete", epoll_ctl(epoll, EPOLL_CTL_DEL, out, NULL));
    result("delete again", epoll_ctl(epoll, EPOLL_CTL_DEL, out, NULL));
    show("deleted", epoll);
    result("rearm", change(epoll, in, 0, 7));
    close(out);
    show("hang-up", epoll);
    close(in);
    show("closed", epoll);

    // A duplicate keeps it.
    pipe(pipe_fds);
    int copy = dup(pipe_fds[0]);
    add(epoll, pipe_fds[0], EPOLLIN, 8);
    close(pipe_fds[0]);
    write(pipe_fds[1], "x", 1);
    show("a duplicate is open", epoll);
    close(copy);
    show("no duplicate", epoll);
    close(pipe_fds[1]);
    // The same number is another file.
    pipe(pipe_fds);
    result("add anew", add(epoll, pipe_fds[0], EPOLLIN, 9));
    close(epoll);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void errors(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    printf("cloexec %d\n", fcntl(epoll, F_GETFD));
    int file = open("/tmp", O_RDONLY);
    int event_fd = eventfd(0, 0);
    result("directory", add(epoll, file, EPOLLIN, 0));
    result("itself", add(epoll, epoll, EPOLLIN, 0));
    result("bad", add(epoll, 999, EPOLLIN, 0));
    result("no epoll", add(event_fd, file, EPOLLIN, 0));
    result("no epoll", add(event_fd, epoll, EPOLLIN, 0));
    result("not there", change(epoll, event_fd, EPOLLIN, 0));
    result("wild", epoll_ctl(epoll, EPOLL_CTL_ADD, event_fd, wild));
    result("operation", epoll_ctl(epoll, 9, event_fd, &(struct epoll_event){0}));
    result("size", epoll_create(0));
    result("flags", epoll_create1(1));
    struct epoll_event events[4];
    result("none wanted", epoll_wait(epoll, events, 0, 0));
    result("negative", epoll_wait(epoll, events, minus_one, 0));
    result("no epoll", epoll_wait(event_fd, events, 1, 0));
    result("bad", epoll_wait(999, events, 1, 0));
    add(epoll, event_fd, EPOLLOUT, 0);
    result("wild", epoll_wait(epoll, wild, 1, 0));
    result("kept", epoll_wait(epoll, events, 1, 0));
    // The second event is on a page that is not there.
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + 4096, 4096);
    int second = eventfd(0, 0);
    add(epoll, second, EPOLLOUT, 0);
    result("half", epoll_wait(epoll, (void *)(pages + 4096 - 18), 2, 0));
    result("both", epoll_wait(epoll, events, 4, 0));
    result("exclusive", add(epoll, dup(second), EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 0));
    int exclusive = dup(second);
    result("exclusive", add(epoll, exclusive, EPOLLIN | EPOLLEXCLUSIVE, 0));
    result("changed", change(epoll, exclusive, EPOLLIN, 0));
    result("read", read(epoll, events, 12));
    struct timespec time = {0, 5000000};
    int idle = epoll_create1(0);
    result("pwait2", syscall(SYS_epoll_pwait2, idle, events, 4, &time, NULL, 0));
    time.tv_nsec = -1;
    result("pwait2", syscall(SYS_epoll_pwait2, idle, events, 4, &time, NULL, 0));
}

static void nested(void) {
    int event_fd = eventfd(0, 0);
    int instances[7];
    for (int i = 0; i < 7; i++)
        instances[i] = epoll_create1(0);
    add(instances[0], event_fd, EPOLLIN, 1);
    for (int i = 1; i < 5; i++)
        result("nest", add(instances[i], instances[i - 1], EPOLLIN, 10 + i));
    result("circle", add(instances[0], instances[3], EPOLLIN, 0));
    show("idle", instances[3]);
    uint64_t one = 1;
    write(event_fd, &one, 8);
    show("outer", instances[3]);
    show("outer", instances[3]);
    show("inner", instances[0]);
    read(event_fd, &one, 8);
    show("idle", instances[3]);
    // An edge of an instance.
    int outer = epoll_create1(0);
    add(outer, instances[0], EPOLLIN | EPOLLET, 20);
    show("no edge", outer);
    write(event_fd, &one, 8);
    show("edge", outer);
    show("no edge", outer);
}

static void nothing(int signal) { (void)signal; }

static void *late_writer(void *argument) {
    usleep(30000);
    uint64_t one = 1;
    write(*(int *)argument, &one, 8);
    return NULL;
}

static void waiting(void) {
    int epoll = epoll_create1(0), event_fd = eventfd(0, 0);
    add(epoll, event_fd, EPOLLIN, 1);
    struct epoll_event event;
    pthread_t thread;
    pthread_create(&thread, NULL, late_writer, &event_fd);
    result("waited", epoll_wait(epoll, &event, 1, -1));
    pthread_join(thread, NULL);
    uint64_t count;
    read(event_fd, &count, 8);
    result("time-out", epoll_wait(epoll, &event, 1, 10));
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    result("interrupted", epoll_wait(epoll, &event, 1, -1));
    // Added while it waits.
    int other = eventfd(0, 0);
    pid_t child = fork();
    if (child == 0) {
        usleep(30000);
        uint64_t one = 1;
        write(other, &one, 8);
        add(epoll, other, EPOLLIN, 2);
        _exit(0);
    }
    result("added", epoll_wait(epoll, &event, 1, 5000));
    waitpid(child, NULL, 0);
    child = fork();
    if (child == 0) {
        int idle = epoll_create1(0);
        epoll_wait(idle, &event, 1, -1);
        _exit(0);
    }
    usleep(20000);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    printf("killed by %d\n", WTERMSIG(status));
}

// No edge is lost: each write of a thousand wakes the reader, which reads only after an event.
static void *edges(void *argument) {
    int *fds = argument;
    for (int i = 0; i < 2000; i++) {
        uint64_t one = 1;
        write(fds[0], &one, 8);
        read(fds[1], &one, 8);
    }
    return NULL;
}

static void no_edge_is_lost(void) {
    int epoll = epoll_create1(0);
    int fds[2] = {eventfd(0, EFD_NONBLOCK), eventfd(0, 0)};
    add(epoll, fds[0], EPOLLIN | EPOLLET, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, edges, fds);
    int got = 0;
    while (got < 2000) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, 10000) != 1)
            break;
        uint64_t count;
        if (read(fds[0], &count, 8) == 8) {
            got++;
            count = 1;
            write(fds[1], &count, 8);
        }
    }
    pthread_join(thread, NULL);
    printf("edges %d\n", got);
}

static void many(void) {
    struct rlimit limit = {1024, 1024};
    setrlimit(RLIMIT_NOFILE, &limit);
    int epoll = epoll_create1(0), fds[900];
    for (int i = 0; i < 900; i++) {
        fds[i] = eventfd(0, 0);
        if (fds[i] < 0 || add(epoll, fds[i], EPOLLIN, i) != 0)
            result("add", -1);
    }
    uint64_t one = 1;
    for (int i = 0; i < 900; i += 100)
        write(fds[i], &one, 8);
    struct epoll_event events[64];
    int n = epoll_wait(epoll, events, 64, 0), sum = 0;
    for (int i = 0; i < n; i++)
        sum += events[i].data.u32;
    printf("of many: %d %d\n", n, sum);
    // Fewer than are ready: each has its turn.
    for (int i = 0; i < 3; i++) {
        n = epoll_wait(epoll, events, 3, 0);
        printf("turn:");
        for (int j = 0; j < n; j++)
            printf(" %u", events[j].data.u32);
        printf("\n");
    }
    for (int i = 0; i < 900; i++)
        close(fds[i]);
    result("all closed", epoll_wait(epoll, events, 64, 0));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    levels_and_edges();
    errors();
    nested();
    waiting();
    no_edge_is_lost();
    many();
    return 0;
}
