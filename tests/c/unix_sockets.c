// Sockets of one machine: streams, datagrams, sequenced packets, their names, what is passed along.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
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
    struct pollfd poll_fd = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    poll(&poll_fd, 1, 0);
    return poll_fd.revents & ~(POLLRDNORM | POLLWRNORM | POLLWRBAND);
}

static socklen_t name(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (path[0] == '@') {
        strcpy(address->sun_path + 1, path + 1);
        return offsetof(struct sockaddr_un, sun_path) + strlen(path);
    }
    strcpy(address->sun_path, path);
    return sizeof *address;
}

static void pairs(void) {
    int fds[2];
    char buffer[100];
    result("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    printf("ready %x\n", ready(fds[0]));
    result("send", send(fds[0], "hello world", 11, 0));
    printf("ready %x\n", ready(fds[1]));
    int count;
    ioctl(fds[1], FIONREAD, &count);
    printf("readable %d\n", count);
    result("peek", recv(fds[1], buffer, 5, MSG_PEEK));
    result("receive", recv(fds[1], buffer, 5, 0));
    printf("%.5s\n", buffer);
    result("wild", recv(fds[1], wild, 5, 0));
    result("rest", read(fds[1], buffer, 100));
    result("nothing", recv(fds[1], buffer, 5, MSG_DONTWAIT));
    result("wild", send(fds[1], wild, 5, 0));
    result("shut", shutdown(fds[0], SHUT_WR));
    printf("ready %x %x\n", ready(fds[0]), ready(fds[1]));
    result("end", recv(fds[1], buffer, 5, 0));
    result("no more", send(fds[0], "x", 1, MSG_NOSIGNAL));
    result("other way", send(fds[1], "x", 1, MSG_NOSIGNAL));
    close(fds[1]);
    printf("ready %x\n", ready(fds[0]));
    result("left", recv(fds[0], buffer, 5, 0));
    result("end", recv(fds[0], buffer, 5, 0));
    close(fds[0]);
    // What was not read is lost.
    socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    write(fds[0], "lost", 4);
    close(fds[1]);
    result("reset", recv(fds[0], buffer, 5, 0));
    result("then", recv(fds[0], buffer, 5, 0));
    result("gone", send(fds[0], "x", 1, MSG_NOSIGNAL));
    close(fds[0]);
    struct stat status;
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds);
    fstat(fds[0], &status);
    printf("mode %o\n", status.st_mode);
    send(fds[0], "one", 3, 0);
    send(fds[0], "", 0, 0);
    send(fds[0], "three", 5, 0);
    result("first", recv(fds[1], buffer, 100, 0));
    result("empty", recv(fds[1], buffer, 100, 0));
    result("cut", recv(fds[1], buffer, 2, MSG_TRUNC));
    result("none", recv(fds[1], buffer, 2, MSG_DONTWAIT));
    close(fds[0]);
    result("end", recv(fds[1], buffer, 2, 0));
    close(fds[1]);
    result("family", socket(99, SOCK_STREAM, 0));
    result("kind", socket(AF_UNIX, 77, 0));
    result("protocol", socket(AF_UNIX, SOCK_STREAM, 6));
    result("inet pair", socketpair(AF_INET, SOCK_STREAM, 0, fds));
    result("no socket", send(0, "x", 1, 0));
}

static void nothing(int signal) { printf("signal %d\n", signal); }

static void signals(void) {
    int fds[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    close(fds[1]);
    signal(SIGPIPE, nothing);
    result("send", send(fds[0], "x", 1, 0));
    result("write", write(fds[0], "x", 1));
    close(fds[0]);
}

static void listeners(const char *path) {
    struct sockaddr_un address, other;
    socklen_t length = name(&address, path), size;
    printf("-- %s\n", path);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    printf("ready %x\n", ready(client));
    result("refused", connect(client, (void *)&address, length));
    result("bind", bind(server, (void *)&address, length));
    result("bind again", bind(server, (void *)&address, length));
    int second = socket(AF_UNIX, SOCK_STREAM, 0);
    result("in use", bind(second, (void *)&address, length));
    result("not listening", connect(client, (void *)&address, length));
    result("accept", accept(server, NULL, NULL));
    result("listen", listen(server, 1));
    printf("ready %x\n", ready(server));
    fcntl(server, F_SETFL, O_NONBLOCK);
    result("none", accept(server, NULL, NULL));
    fcntl(server, F_SETFL, 0);
    result("connect", connect(client, (void *)&address, length));
    result("connect again", connect(client, (void *)&address, length));
    printf("ready %x %x\n", ready(server), ready(client));
    result("before accept", send(client, "early", 5, 0));
    size = sizeof other;
    int connection = accept4(server, (void *)&other, &size, SOCK_CLOEXEC);
    printf("accepted %d, peer's name %d, cloexec %d\n", connection >= 0, size,
           fcntl(connection, F_GETFD));
    char buffer[100];
    result("early", recv(connection, buffer, 100, 0));
    size = sizeof other;
    memset(&other, 0, sizeof other);
    getpeername(client, (void *)&other, &size);
    printf("peer %d %s\n", size, other.sun_path[0] ? other.sun_path : other.sun_path + 1);
    size = sizeof other;
    getsockname(connection, (void *)&other, &size);
    printf("own %d\n", size);
    size = sizeof other;
    getsockname(client, (void *)&other, &size);
    printf("unnamed %d\n", size);
    struct ucred peer;
    size = sizeof peer;
    getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    printf("peer is me %d %d\n", peer.pid == getpid(), peer.uid == getuid());
    int value;
    size = sizeof value;
    getsockopt(server, SOL_SOCKET, SO_ACCEPTCONN, &value, &size);
    printf("accepts %d\n", value);
    // The backlog.
    int waiting[4];
    for (int i = 0; i < 3; i++) {
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        result("backlog", connect(waiting[i], (void *)&address, length));
    }
    close(server);
    result("closed", connect(waiting[2], (void *)&address, length));
    result("not accepted", recv(waiting[0], buffer, 1, 0));
    for (int i = 0; i < 3; i++)
        close(waiting[i]);
    close(connection);
    result("end", recv(client, buffer, 1, 0));
    close(client);
    close(second);
    if (path[0] != '@') {
        struct stat status;
        stat(path, &status);
        printf("type %o\n", status.st_mode & S_IFMT);
        result("open", open(path, O_RDWR));
        unlink(path);
    }
}

static void datagrams(void) {
    struct sockaddr_un first_name, second_name, from;
    socklen_t first_length = name(&first_name, "@first"), size;
    socklen_t second_length = name(&second_name, "/tmp/second");
    int first = socket(AF_UNIX, SOCK_DGRAM, 0), second = socket(AF_UNIX, SOCK_DGRAM, 0);
    bind(first, (void *)&first_name, first_length);
    bind(second, (void *)&second_name, second_length);
    result("send", sendto(first, "one", 3, 0, (void *)&second_name, second_length));
    char buffer[100];
    size = sizeof from;
    memset(&from, 0, sizeof from);
    result("receive", recvfrom(second, buffer, 100, 0, (void *)&from, &size));
    printf("from %s (%d)\n", from.sun_path + 1, size);
    result("no peer", send(first, "x", 1, 0));
    result("connect", connect(first, (void *)&second_name, second_length));
    result("send", send(first, "two", 3, 0));
    struct iovec parts[2] = {{buffer, 1}, {buffer + 10, 1}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    result("message", recvmsg(second, &message, 0));
    printf("cut %d: %c%c\n", !!(message.msg_flags & MSG_TRUNC), buffer[0], buffer[10]);
    int sent = 0;
    while (send(first, "flood", 5, MSG_DONTWAIT) == 5)
        sent++;
    printf("flood %s\n", strerror(errno));
    for (int i = 0; i < sent; i++)
        recv(second, buffer, 100, 0);
    result("empty", recv(second, buffer, 100, MSG_DONTWAIT));
    struct mmsghdr many[3] = {0};
    char texts[3][10] = {"a", "bb", "ccc"};
    struct iovec spots[3];
    for (int i = 0; i < 3; i++) {
        spots[i] = (struct iovec){texts[i], i + 1};
        many[i].msg_hdr.msg_iov = &spots[i];
        many[i].msg_hdr.msg_iovlen = 1;
    }
    result("many", sendmmsg(first, many, 3, 0));
    for (int i = 0; i < 3; i++)
        spots[i].iov_len = 10;
    result("many", recvmmsg(second, many, 3, MSG_DONTWAIT, NULL));
    printf("%u %u %u\n", many[0].msg_len, many[1].msg_len, many[2].msg_len);
    close(second);
    result("refused", send(first, "x", 1, 0));
    result("stale", sendto(first, "x", 1, 0, (void *)&second_name, second_length));
    close(first);
    unlink("/tmp/second");
}

static void rights(void) {
    int fds[2], pipe_fds[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    pipe(pipe_fds);
    char byte = 'x', control[CMSG_SPACE(sizeof(int) * 2)] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * 2);
    memcpy(CMSG_DATA(head), pipe_fds, sizeof pipe_fds);
    result("pass", sendmsg(fds[0], &message, 0));
    send(fds[0], "yz", 2, 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    char buffer[10];
    part = (struct iovec){buffer, 10};
    memset(control, 0, sizeof control);
    result("taken", recvmsg(fds[1], &message, MSG_CMSG_CLOEXEC));
    head = CMSG_FIRSTHDR(&message);
    printf("control %zu type %d length %zu flags %x\n", (size_t)message.msg_controllen,
           head->cmsg_type, (size_t)head->cmsg_len, message.msg_flags);
    int got[2];
    memcpy(got, CMSG_DATA(head), sizeof got);
    printf("cloexec %d\n", fcntl(got[0], F_GETFD));
    write(got[1], "through", 7);
    result("works", read(got[0], buffer, 10));
    int on = 1;
    setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    send(fds[0], "c", 1, 0);
    char larger[256];
    part = (struct iovec){buffer, 1};
    message.msg_control = larger;
    message.msg_controllen = sizeof larger;
    recv(fds[1], buffer, 2, 0);
    result("credentials", recvmsg(fds[1], &message, MSG_DONTWAIT));
    head = CMSG_FIRSTHDR(&message);
    if (head != NULL) {
        struct ucred peer;
        memcpy(&peer, CMSG_DATA(head), sizeof peer);
        printf("type %d from me %d\n", head->cmsg_type, peer.pid == getpid());
    }
    // A bad descriptor is not sent.
    memset(larger, 0, sizeof larger);
    message.msg_controllen = CMSG_SPACE(sizeof(int));
    head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)CMSG_DATA(head) = 999;
    result("bad", sendmsg(fds[0], &message, 0));
    close(fds[0]);
    close(fds[1]);
}

static void *writer(void *argument) {
    static char bytes[1 << 20];
    memset(bytes, 7, sizeof bytes);
    return (void *)write(*(int *)argument, bytes, sizeof bytes);
}

static void waiting(void) {
    int fds[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    pthread_t thread;
    pthread_create(&thread, NULL, writer, &fds[0]);
    static char bytes[1 << 20];
    result("all read", recv(fds[1], bytes, sizeof bytes, MSG_WAITALL));
    void *written;
    pthread_join(thread, &written);
    result("all written", (long)written);
    long sum = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        sum += bytes[i];
    printf("sum %ld\n", sum);
    struct timeval time = {0, 20000};
    setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    result("time-out", recv(fds[1], bytes, 1, 0));
    pid_t child = fork();
    if (child == 0) {
        time.tv_usec = 0;
        setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
        recv(fds[1], bytes, 1, 0);
        _exit(0);
    }
    usleep(20000);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    printf("killed by %d\n", WTERMSIG(status));
    // Edges of a socket.
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.u32 = 1}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event);
    send(fds[0], "a", 1, 0);
    printf("edge %d", epoll_wait(epoll, &event, 1, 0));
    printf(" %d", epoll_wait(epoll, &event, 1, 0));
    send(fds[0], "b", 1, 0);
    printf(" %d\n", epoll_wait(epoll, &event, 1, 0));
    close(fds[0]);
    printf("hang-up %d", epoll_wait(epoll, &event, 1, 0));
    printf(" %x\n", event.events);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    unlink("/tmp/socket");
    unlink("/tmp/second");
    pairs();
    signals();
    listeners("@abstract");
    listeners("/tmp/socket");
    datagrams();
    rights();
    waiting();
    return 0;
}
