// TCP and UDP within the machine.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void result(const char *what, long value) {
    if (value < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, value);
}

static struct sockaddr_in at(uint32_t ip, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(ip)};
    return address;
}

static void streams(void) {
    int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = at(INADDR_LOOPBACK, 0), other;
    socklen_t size = sizeof address;
    result("reuse", setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    result("bind", bind(server, (void *)&address, size));
    getsockname(server, (void *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port) != 0);
    result("listen", listen(server, 5));
    int client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    result("not connected", send(client, "x", 1, MSG_NOSIGNAL));
    result("connect", connect(client, (void *)&address, sizeof address));
    size = sizeof other;
    int connection = accept(server, (void *)&other, &size);
    printf("from %s\n", inet_ntoa(other.sin_addr));
    struct sockaddr_in own;
    size = sizeof own;
    getsockname(client, (void *)&own, &size);
    printf("same port %d\n", own.sin_port == other.sin_port);
    size = sizeof own;
    getpeername(client, (void *)&own, &size);
    printf("peer's port %d\n", own.sin_port == address.sin_port);
    result("no delay", setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    int value = 0;
    size = sizeof value;
    result("no delay", getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &size));
    printf("%d\n", value);
    result("send", send(client, "hello", 5, 0));
    char buffer[100];
    result("receive", recv(connection, buffer, 100, 0));
    result("back", send(connection, "hi", 2, 0));
    result("receive", recv(client, buffer, 100, MSG_WAITALL | MSG_DONTWAIT));
    int second = socket(AF_INET, SOCK_STREAM, 0);
    result("in use", bind(second, (void *)&address, sizeof address));
    shutdown(client, SHUT_WR);
    result("end", recv(connection, buffer, 100, 0));
    result("other way", send(connection, "late", 4, 0));
    result("late", recv(client, buffer, 100, 0));
    close(connection);
    result("end", recv(client, buffer, 100, 0));
    close(client);
    close(server);
    client = socket(AF_INET, SOCK_STREAM, 0);
    result("refused", connect(client, (void *)&address, sizeof address));
    close(client);
    // A connection for each child.
    server = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    size = sizeof six;
    result("bind", bind(server, (void *)&six, size));
    getsockname(server, (void *)&six, &size);
    listen(server, 16);
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            struct sockaddr_in four = at(INADDR_LOOPBACK, ntohs(six.sin6_port));
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            connect(fd, (void *)&four, sizeof four);
            write(fd, "child", 5);
            read(fd, buffer, 1);
            _exit(0);
        }
    }
    long sum = 0;
    for (int i = 0; i < 4; i++) {
        int fd = accept(server, NULL, NULL);
        sum += recv(fd, buffer, 5, MSG_WAITALL);
        write(fd, "k", 1);
        close(fd);
    }
    while (wait(NULL) > 0)
        ;
    printf("from children %ld\n", sum);
}

static void datagrams(void) {
    int first = socket(AF_INET, SOCK_DGRAM, 0), second = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = at(INADDR_LOOPBACK, 0), from;
    socklen_t size = sizeof address;
    result("bind", bind(first, (void *)&address, size));
    getsockname(first, (void *)&address, &size);
    result("send", sendto(second, "one", 3, 0, (void *)&address, sizeof address));
    char buffer[100];
    size = sizeof from;
    result("receive", recvfrom(first, buffer, 2, MSG_TRUNC, (void *)&from, &size));
    printf("from %s\n", inet_ntoa(from.sin_addr));
    result("reply", sendto(first, "two", 3, 0, (void *)&from, size));
    result("receive", recv(second, buffer, 100, 0));
    result("no peer", send(second, "x", 1, 0));
    result("connect", connect(second, (void *)&address, sizeof address));
    result("send", send(second, "", 0, 0));
    result("empty", recv(first, buffer, 100, 0));
    result("none", recv(first, buffer, 100, MSG_DONTWAIT));
    int value;
    size = sizeof value;
    getsockopt(first, SOL_SOCKET, SO_TYPE, &value, &size);
    printf("type %d\n", value);
    getsockopt(first, SOL_SOCKET, SO_PROTOCOL, &value, &size);
    printf("protocol %d\n", value);
    result("listen", listen(first, 1));
    struct sockaddr_in elsewhere = at(0xc0a80001, 7);
    int third = socket(AF_INET, SOCK_STREAM, 0);
    result("not here", bind(third, (void *)&elsewhere, sizeof elsewhere) < 0);
    result("option", setsockopt(third, SOL_SOCKET, 9999, &value, sizeof value));
    result("short", setsockopt(third, SOL_SOCKET, SO_REUSEADDR, &value, 1));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    streams();
    datagrams();
    return 0;
}
