/* Sockets as a program sees them: pairs, Unix and loopback addresses, messages, descriptors in messages, options. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int hits;
static char buffer[70000];
static void *const NOWHERE = (void *)(uintptr_t)0x123456789000;

/* A line a check; for -1 the error. */
static void say(const char *what, long value) {
    if (value == -1)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, value);
    fflush(stdout);
}
static void count(int s) { (void)s; hits++; }
static void on(int s, int flags) {
    struct sigaction a = {.sa_handler = count, .sa_flags = flags};
    sigaction(s, &a, 0);
}
static void in_ms(int ms) {
    struct itimerval t = {.it_value = {.tv_usec = ms * 1000}};
    setitimer(ITIMER_REAL, &t, 0);
}
/* A call that must not be kept by a signal that comes too early: alarms until it is over. */
static void every_ms(int ms) {
    struct itimerval t = {{0, ms * 1000}, {0, ms * 1000}};
    setitimer(ITIMER_REAL, &t, 0);
}
static void got(const char *what, ssize_t n) {
    if (n < 0) { say(what, n); return; }
    printf("%s: %zd \"%.*s\"\n", what, n, (int)n, buffer);
    fflush(stdout);
    memset(buffer, 0, 64);
}

static void pairs(void) {
    int s[2];
    say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    say("cloexec of a pair", fcntl(s[0], F_GETFD));
    say("send", send(s[0], "hello", 5, 0));
    got("peek", recv(s[1], buffer, 3, MSG_PEEK));
    got("receive", recv(s[1], buffer, 100, 0));
    say("nothing there", recv(s[1], buffer, 1, MSG_DONTWAIT));
    say("write", write(s[1], "ab", 2));
    got("read", read(s[0], buffer, 1));
    got("and the rest", recv(s[0], buffer, 9, 0));
    say("send nothing", send(s[0], "", 0, 0));
    say("send to nowhere", send(s[0], NOWHERE, 5, 0));
    say("send from the end of the space", send(s[0], (void *)-4096L, 5, 0));
    send(s[0], "x", 1, 0);
    say("receive to nowhere", recv(s[1], NOWHERE, 5, 0));
    got("it is still there", recv(s[1], buffer, 5, 0));
    say("shutdown", shutdown(s[0], SHUT_WR));
    say("the end", recv(s[1], buffer, 1, 0));
    say("write after shutdown", send(s[0], "x", 1, MSG_NOSIGNAL));
    hits = 0;
    on(SIGPIPE, 0);
    say("and with a signal", send(s[0], "x", 1, 0));
    say("signals", hits);
    say("shutdown of nothing", shutdown(s[0], 7));
    say("shutdown of no socket", shutdown(0, SHUT_WR));
    close(s[0]);
    close(s[1]);
    say("a closed one", send(s[0], "x", 1, 0));
    say("flags of a pair", socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s));
    say("cloexec", fcntl(s[1], F_GETFD));
    say("nonblocking", !!(fcntl(s[1], F_GETFL) & O_NONBLOCK));
    say("empty", recv(s[1], buffer, 1, 0));
    send(s[0], "first", 5, 0);
    send(s[0], "second", 6, 0);
    got("datagram", recv(s[1], buffer, 3, 0));
    say("its whole length", recv(s[1], buffer, 3, MSG_TRUNC));
    close(s[0]);
    close(s[1]);
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
    send(s[0], "one", 3, 0);
    send(s[0], "two", 3, 0);
    got("packet", recv(s[1], buffer, 100, 0));
    got("packet", recv(s[1], buffer, 100, 0));
    close(s[0]);
    close(s[1]);
    say("no such family", socketpair(99, SOCK_STREAM, 0, s));
    say("no pairs of that", socketpair(AF_INET, SOCK_STREAM, 0, s));
    say("pair to nowhere", socketpair(AF_UNIX, SOCK_STREAM, 0, NOWHERE));
    say("no such type", socket(AF_UNIX, 77, 0));
}

static void show(const char *what, struct sockaddr_un *a, socklen_t size) {
    int path = (int)size - (int)offsetof(struct sockaddr_un, sun_path);
    printf("%s: family %d, %u bytes, \"", what, size >= 2 ? a->sun_family : -1, size);
    for (int i = 0; i < path && i < 20; i++) putchar(a->sun_path[i] ? a->sun_path[i] : '@');
    printf("\"\n");
    fflush(stdout);
}
static socklen_t named(struct sockaddr_un *a, const char *name) {
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path, name);
    return offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1;
}

static void unix_names(void) {
    struct sockaddr_un a = {0}, b = {0};
    socklen_t size = named(&a, "here.sock");
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    say("connect to nothing", connect(client, (void *)&a, size));
    say("bind", bind(server, (void *)&a, size));
    struct stat st;
    say("a socket is there", stat("here.sock", &st) ? -1 : S_ISSOCK(st.st_mode));
    say("connect before listen", connect(client, (void *)&a, size));
    say("accept before listen", accept(server, 0, 0));
    say("listen", listen(server, 5));
    say("bind again", bind(server, (void *)&a, size));
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    say("name in use", bind(other, (void *)&a, size));
    say("accept of nobody", fcntl(server, F_SETFL, O_NONBLOCK));
    say("accept of nobody", accept(server, 0, 0));
    say("connect", connect(client, (void *)&a, size));
    size = sizeof b;
    memset(&b, 'x', sizeof b);
    int served = accept4(server, (void *)&b, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    say("accept4", served >= 0);
    show("who came", &b, size);
    say("cloexec", fcntl(served, F_GETFD));
    say("nonblocking", !!(fcntl(served, F_GETFL) & O_NONBLOCK));
    size = sizeof b;
    say("getsockname", getsockname(server, (void *)&b, &size));
    show("its name", &b, size);
    size = sizeof b;
    say("getpeername", getpeername(client, (void *)&b, &size));
    show("the peer's", &b, size);
    size = 5;
    memset(&b, 'x', sizeof b);
    say("too little room", getsockname(server, (void *)&b, &size));
    show("a part of it", &b, 6);
    say("and what it takes", size);
    size = -1;
    say("negative room", getsockname(server, (void *)&b, &size));
    say("size nowhere", getsockname(server, (void *)&b, NOWHERE));
    size = sizeof b;
    say("name nowhere", getsockname(server, NOWHERE, &size));
    say("peer of a listener", getpeername(server, (void *)&b, &size));
    say("send", send(client, "via a name", 10, 0));
    got("receive", recv(served, buffer, 100, 0));
    struct ucred who;
    size = sizeof who;
    say("SO_PEERCRED", getsockopt(served, SOL_SOCKET, SO_PEERCRED, &who, &size));
    say("it is us", who.pid == getpid() && who.uid == getuid() && who.gid == getgid());
    close(client);
    say("the end", recv(served, buffer, 1, 0));
    close(served);
    client = socket(AF_UNIX, SOCK_DGRAM, 0);
    say("another type", connect(client, (void *)&a, named(&a, "here.sock")));
    close(client);
    unlink("here.sock");
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    say("no such file", connect(client, (void *)&a, named(&a, "here.sock")));
    close(open("plain", O_CREAT | O_WRONLY, 0600));
    say("a plain file", connect(client, (void *)&a, named(&a, "plain")));
    say("no such folder", bind(other, (void *)&a, named(&a, "no/where")));
    say("an address that is too long", bind(other, (void *)&a, 200));
    say("an address that is too short", bind(other, (void *)&a, 1));
    say("an address from nowhere", bind(other, NOWHERE, sizeof a));
    a.sun_family = 77;
    say("another family", connect(client, (void *)&a, sizeof a));
    say("a name of its own", bind(other, (void *)&a, (a.sun_family = AF_UNIX, 2)));
    size = sizeof b;
    getsockname(other, (void *)&b, &size);
    printf("family and %d bytes, the first 0: %d\n", size, !b.sun_path[0]);
    close(other);
    close(client);
    close(server);
    /* Names in the abstract: a zero first, and every byte counts. */
    memset(&a, 0, sizeof a);
    a.sun_family = AF_UNIX;
    int length = snprintf(a.sun_path + 1, 100, "polyvm-test-%d", getpid());
    server = socket(AF_UNIX, SOCK_STREAM, 0);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    say("abstract", bind(server, (void *)&a, 3 + length));
    listen(server, 1);
    say("connect", connect(client, (void *)&a, 3 + length));
    say("one byte less", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, 2 + length));
    close(server);
    close(client);
    /* Datagrams to a name, and where they came from. */
    server = socket(AF_UNIX, SOCK_DGRAM, 0);
    client = socket(AF_UNIX, SOCK_DGRAM, 0);
    bind(server, (void *)&a, named(&a, "one"));
    bind(client, (void *)&b, named(&b, "two"));
    say("sendto", sendto(client, "dear one", 8, 0, (void *)&a, named(&a, "one")));
    size = sizeof b;
    got("recvfrom", recvfrom(server, buffer, 100, 0, (void *)&b, &size));
    show("from", &b, size);
    say("sendto nobody", sendto(client, "x", 1, 0, (void *)&a, named(&a, "three")));
    say("send without a peer", send(client, "x", 1, 0));
    unlink("one");
    unlink("two");
    close(server);
    close(client);
}

/* The kernel tells a socket's name to everybody as it was given, whatever directories are in it. */
static void folders(void) {
    static const char *const names[] = {"sub/one", "sub2/one", "sub/../sub2/two"};
    struct sockaddr_un a = {0}, b = {0};
    socklen_t size;
    int s[3];
    mkdir("sub", 0700);
    mkdir("sub2", 0700);
    for (int i = 0; i < 3; i++) {
        s[i] = socket(AF_UNIX, SOCK_DGRAM, 0);
        say("bind", bind(s[i], (void *)&a, named(&a, names[i])));
    }
    for (int i = 0; i < 3; i++) {
        size = sizeof b;
        getsockname(s[i], (void *)&b, &size);
        show("name", &b, size);
    }
    for (int i = 1; i < 3; i++) {
        say("sendto", sendto(s[0], "ask", 3, 0, (void *)&a, named(&a, names[i])));
        struct iovec in = {buffer, 64};
        struct msghdr m = {.msg_name = &b, .msg_namelen = sizeof b, .msg_iov = &in, .msg_iovlen = 1};
        got("recvmsg", recvmsg(s[i], &m, 0));
        show("from", &b, m.msg_namelen);
        say("answer", sendto(s[i], "answer", 6, 0, (void *)&b, m.msg_namelen));
        m.msg_namelen = 6;
        memset(&b, 'x', sizeof b);
        got("recvmsg", recvmsg(s[0], &m, 0));
        show("a part of a name", &b, 8);
        say("and what it takes", m.msg_namelen);
    }
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    say("bind", bind(server, (void *)&a, named(&a, "sub/server")));
    listen(server, 1);
    say("bind", bind(client, (void *)&a, named(&a, "sub2/client")));
    say("connect", connect(client, (void *)&a, named(&a, "sub2/../sub/server")));
    size = sizeof b;
    int served = accept(server, (void *)&b, &size);
    show("who came", &b, size);
    size = sizeof b;
    getpeername(client, (void *)&b, &size);
    show("and to whom", &b, size);
    say("it is there", unlink("sub2/client"));
    for (int i = 0; i < 3; i++) close(s[i]);
    close(served);
    close(client);
    close(server);
}

static struct sockaddr_in local(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}
static int port_of(int s) {
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    return getsockname(s, (void *)&a, &size) ? -1 : ntohs(a.sin_port);
}
static void *echo(void *arg) {
    int s = accept(*(int *)arg, 0, 0);
    char data[64];
    for (ssize_t n; (n = recv(s, data, sizeof data, 0)) > 0;) send(s, data, n, 0);
    close(s);
    return 0;
}

static void loopback(void) {
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1, value;
    say("cloexec", fcntl(server, F_GETFD));
    say("SO_REUSEADDR", setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes));
    struct sockaddr_in a = local(0), b;
    socklen_t size;
    say("bind", bind(server, (void *)&a, sizeof a));
    say("an address that is not ours", (a.sin_addr.s_addr = htonl(0x01020304), bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof a)));
    say("listen", listen(server, 3));
    a = local(port_of(server));
    say("a port was chosen", ntohs(a.sin_port) != 0);
    pthread_t thread;
    pthread_create(&thread, 0, echo, &server);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    say("connect", connect(client, (void *)&a, sizeof a));
    say("connect again", connect(client, (void *)&a, sizeof a));
    size = sizeof b;
    say("peer", getpeername(client, (void *)&b, &size));
    say("is it", size == sizeof b && !memcmp(&a, &b, 8));
    say("TCP_NODELAY", setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes));
    size = sizeof value;
    say("is set", getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &size) ? -1 : value);
    say("send", send(client, "round ", 6, MSG_MORE));
    say("send", send(client, "trip", 4, 0));
    got("all of it", recv(client, buffer, 10, MSG_WAITALL));
    shutdown(client, SHUT_WR);
    say("the end", recv(client, buffer, 1, 0));
    pthread_join(thread, 0);
    close(client);
    close(server);
    client = socket(AF_INET, SOCK_STREAM, 0);
    say("nobody listens", connect(client, (void *)&a, sizeof a));
    say("an address that is too short", connect(client, (void *)&a, 4));
    close(client);
    client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    value = connect(client, (void *)&a, sizeof a);
    if (value && errno == EINPROGRESS) {
        struct pollfd p = {client, POLLOUT, 0};
        poll(&p, 1, 5000);
        size = sizeof value;
        getsockopt(client, SOL_SOCKET, SO_ERROR, &value, &size);
        errno = value;
    }
    say("in the background", -1);
    close(client);
}

static void datagrams(void) {
    int one = socket(AF_INET, SOCK_DGRAM, 0), two = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = local(0), b = local(0), c;
    bind(one, (void *)&a, sizeof a);
    bind(two, (void *)&b, sizeof b);
    a = local(port_of(one));
    b = local(port_of(two));
    say("sendto", sendto(one, "datagram", 8, 0, (void *)&b, sizeof b));
    socklen_t size = sizeof c;
    got("recvfrom", recvfrom(two, buffer, 100, 0, (void *)&c, &size));
    say("from whom", size == sizeof c && !memcmp(&a, &c, sizeof c));
    size = 4;
    memset(&c, 'x', sizeof c);
    sendto(one, "longer than that", 16, 0, (void *)&b, sizeof b);
    got("a part", recvfrom(two, buffer, 6, MSG_TRUNC, (void *)&c, &size) == 16 ? 6 : -1);
    say("half an address", size == sizeof c && !memcmp(&a, &c, 4) && ((char *)&c)[4] == 'x');
    say("too long", sendto(one, buffer, 70000, 0, (void *)&b, sizeof b));
    say("to nobody", send(one, "x", 1, 0));
    say("connect", connect(one, (void *)&b, sizeof b));
    say("send", send(one, "connected", 9, 0));
    got("receive", recv(two, buffer, 100, 0));
    close(two);
    send(one, "x", 1, 0);
    struct pollfd p = {one, POLLIN, 0};
    poll(&p, 1, 5000);
    say("its port is closed", recv(one, buffer, 1, 0));
    struct sockaddr_in none = {.sin_family = AF_UNSPEC};
    say("disconnect", connect(one, (void *)&none, sizeof none));
    say("to nobody", send(one, "x", 1, 0));
    struct timeval wait = {0, 20000};
    say("SO_RCVTIMEO", setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait));
    say("nothing in time", recv(one, buffer, 1, 0));
    say("an address from nowhere", sendto(one, "x", 1, 0, NOWHERE, sizeof b));
    close(one);
}

static void options(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0), value = 0;
    socklen_t size = sizeof value;
    static const int names[] = {SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_ERROR, SO_KEEPALIVE, SO_BROADCAST};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        value = 12345;
        size = sizeof value;
        printf("option %d: ", names[i]);
        say("value", getsockopt(s, SOL_SOCKET, names[i], &value, &size) ? -1 : value);
    }
    value = 1;
    say("SO_KEEPALIVE", setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value));
    value = 0;
    say("is set", getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, &size) ? -1 : value);
    struct linger slow = {1, 7}, found;
    say("SO_LINGER", setsockopt(s, SOL_SOCKET, SO_LINGER, &slow, sizeof slow));
    size = sizeof found;
    say("is set", getsockopt(s, SOL_SOCKET, SO_LINGER, &found, &size) ? -1 : found.l_onoff * 100 + found.l_linger);
    struct timeval wait = {3, 250000}, seen;
    say("SO_SNDTIMEO", setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait));
    size = sizeof seen;
    say("is set", getsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &seen, &size) ? -1 : seen.tv_sec * 1000 + seen.tv_usec / 1000);
    value = 4096;
    setsockopt(s, SOL_SOCKET, SO_SNDBUF, &value, sizeof value);
    size = sizeof value;
    say("SO_SNDBUF is doubled", getsockopt(s, SOL_SOCKET, SO_SNDBUF, &value, &size) ? -1 : value >= 8192);
    value = 5;
    say("IP_TTL", setsockopt(s, IPPROTO_IP, IP_TTL, &value, sizeof value));
    size = 1;
    value = 0x55555555;
    say("one byte of it", getsockopt(s, IPPROTO_IP, IP_TTL, &value, &size) ? -1 : value);
    say("and its size", size);
    size = -4;
    say("negative size", getsockopt(s, SOL_SOCKET, SO_TYPE, &value, &size));
    say("size nowhere", getsockopt(s, SOL_SOCKET, SO_TYPE, &value, NOWHERE));
    size = sizeof value;
    say("value nowhere", getsockopt(s, SOL_SOCKET, SO_TYPE, NOWHERE, &size));
    say("from nowhere", setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, NOWHERE, 4));
    say("too short", setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, 2));
    say("no such option", setsockopt(s, SOL_SOCKET, 9999, &value, sizeof value));
    say("no socket", getsockopt(1000, SOL_SOCKET, SO_TYPE, &value, &size));
    say("TCP_INFO", (size = sizeof buffer, getsockopt(s, IPPROTO_TCP, TCP_INFO, buffer, &size)));
    say("state", buffer[0]);
    close(s);
}

static void with_rights(struct msghdr *m, char *control, int fds, const int *fd) {
    m->msg_control = control;
    m->msg_controllen = CMSG_SPACE(fds * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds * sizeof(int));
    memcpy(CMSG_DATA(c), fd, fds * sizeof(int));
}

static void messages(void) {
    int s[2], p[2], n;
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    struct iovec out[] = {{"several ", 8}, {"", 0}, {"pieces", 6}}, in[] = {{buffer, 4}, {buffer + 4, 60}};
    struct msghdr m = {.msg_iov = out, .msg_iovlen = 3}, r = {.msg_iov = in, .msg_iovlen = 2, .msg_flags = 0x55};
    say("sendmsg", sendmsg(s[0], &m, 0));
    got("recvmsg", recvmsg(s[1], &r, 0));
    say("flags", r.msg_flags);
    say("name", r.msg_namelen);
    sendmsg(s[0], &m, 0);
    in[1].iov_len = 3;
    got("a part", recvmsg(s[1], &r, 0));
    say("truncated", !!(r.msg_flags & MSG_TRUNC));
    in[1].iov_len = 60;
    m.msg_iovlen = 0;
    say("an empty one", sendmsg(s[0], &m, 0));
    got("an empty one", recvmsg(s[1], &r, 0));
    m.msg_iovlen = 1025;
    say("too many pieces", sendmsg(s[0], &m, 0));
    m.msg_iovlen = 3;
    out[1] = (struct iovec){NOWHERE, 5};
    say("a piece from nowhere", sendmsg(s[0], &m, 0));
    out[1] = (struct iovec){"", -1};
    say("a piece of negative size", sendmsg(s[0], &m, 0));
    out[1] = (struct iovec){"", 0};
    /* The C library would copy it. */
    say("a message from nowhere", syscall(SYS_sendmsg, s[0], NOWHERE, 0));
    say("a message to nowhere", syscall(SYS_recvmsg, s[1], NOWHERE, MSG_DONTWAIT));
    /* Descriptors in a message. */
    char control[CMSG_SPACE(8 * sizeof(int))];
    pipe(p);
    with_rights(&m, control, 2, p);
    say("send descriptors", sendmsg(s[0], &m, 0));
    char room[CMSG_SPACE(8 * sizeof(int))];
    r.msg_control = room;
    r.msg_controllen = sizeof room;
    got("receive them", recvmsg(s[1], &r, MSG_CMSG_CLOEXEC));
    struct cmsghdr *c = CMSG_FIRSTHDR(&r);
    printf("control: %zu bytes, level %d, type %d, %zu\n", (size_t)r.msg_controllen, c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
    int fd[2];
    memcpy(fd, CMSG_DATA(c), sizeof fd);
    say("they are new", fd[0] != p[0] && fd[1] != p[1]);
    say("cloexec", fcntl(fd[0], F_GETFD));
    write(fd[1], "through", 7);
    got("and the same", read(p[0], buffer, 20));
    close(fd[0]);
    close(fd[1]);
    sendmsg(s[0], &m, 0);
    r.msg_controllen = CMSG_LEN(sizeof(int));
    got("room for one", recvmsg(s[1], &r, 0));
    say("cut", !!(r.msg_flags & MSG_CTRUNC));
    c = CMSG_FIRSTHDR(&r);
    say("one came", c && c->cmsg_len == CMSG_LEN(sizeof(int)));
    if (c) { memcpy(&n, CMSG_DATA(c), sizeof n); say("open", fcntl(n, F_GETFD)); close(n); }
    sendmsg(s[0], &m, 0);
    r.msg_control = 0;
    r.msg_controllen = 0;
    got("no room", recvmsg(s[1], &r, 0));
    say("cut", !!(r.msg_flags & MSG_CTRUNC));
    fd[0] = p[0];
    fd[1] = 1234;
    with_rights(&m, control, 2, fd);
    say("a descriptor that is not open", sendmsg(s[0], &m, 0));
    m.msg_controllen = CMSG_LEN(0) - 1;
    say("control that is too short", sendmsg(s[0], &m, 0));
    with_rights(&m, control, 1, p);
    CMSG_FIRSTHDR(&m)->cmsg_len = 5;
    say("control that is wrong", sendmsg(s[0], &m, 0));
    m.msg_control = NOWHERE;
    say("control from nowhere", syscall(SYS_sendmsg, s[0], &m, 0));
    while (recv(s[1], buffer, 100, MSG_DONTWAIT) > 0) {}
    /* Who sent it. */
    int yes = 1;
    say("SO_PASSCRED", setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes));
    send(s[0], "me", 2, 0);
    r.msg_control = room;
    r.msg_controllen = sizeof room;
    got("receive", recvmsg(s[1], &r, 0));
    struct ucred who;
    c = CMSG_FIRSTHDR(&r);
    memcpy(&who, CMSG_DATA(c), sizeof who);
    say("credentials", c->cmsg_type == SCM_CREDENTIALS && who.pid == getpid() && who.uid == getuid());
    close(s[0]);
    close(s[1]);
    close(p[0]);
    close(p[1]);
}

static void to_a_child(void) {
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    pid_t pid = fork();
    if (!pid) {
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec in = {buffer, 64};
        struct msghdr m = {.msg_iov = &in, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        if (recvmsg(s[1], &m, 0) != 4) _exit(1);
        int fd;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
        lseek(fd, 0, SEEK_SET);
        ssize_t n = read(fd, buffer, sizeof buffer);
        send(s[1], buffer, n, 0);
        _exit(0);
    }
    int fd = open("note", O_RDWR | O_CREAT, 0600);
    write(fd, "from a file", 11);
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec out = {"take", 4};
    struct msghdr m = {.msg_iov = &out, .msg_iovlen = 1};
    with_rights(&m, control, 1, &fd);
    say("send a file to a child", sendmsg(s[0], &m, 0));
    got("what it read", recv(s[0], buffer, 100, 0));
    int status;
    waitpid(pid, &status, 0);
    say("its status", status);
    close(s[0]);
    close(s[1]);
    close(fd);
}

static void many(void) {
    int s[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    struct iovec out[] = {{"one", 3}, {"three", 5}, {"sixsix", 6}}, in[4];
    static char rooms[4][8];
    struct mmsghdr m[4], r[4];
    memset(m, 0, sizeof m);
    memset(r, 0, sizeof r);
    for (int i = 0; i < 4; i++) {
        m[i].msg_hdr.msg_iov = &out[i % 3];
        m[i].msg_hdr.msg_iovlen = 1;
        in[i] = (struct iovec){rooms[i], 4};
        r[i].msg_hdr.msg_iov = &in[i];
        r[i].msg_hdr.msg_iovlen = 1;
    }
    say("sendmmsg", sendmmsg(s[0], m, 3, 0));
    printf("lengths: %u %u %u\n", m[0].msg_len, m[1].msg_len, m[2].msg_len);
    say("recvmmsg", recvmmsg(s[1], r, 4, MSG_WAITFORONE, 0));
    for (int i = 0; i < 3; i++)
        printf("%u \"%.4s\" %d\n", r[i].msg_len, rooms[i], !!(r[i].msg_hdr.msg_flags & MSG_TRUNC));
    say("nothing left", recvmmsg(s[1], r, 4, MSG_DONTWAIT, 0));
    m[1].msg_hdr.msg_iov = NOWHERE;
    say("as far as it goes", sendmmsg(s[0], m, 3, 0));
    say("and no further", sendmmsg(s[0], m + 1, 2, 0));
    struct timespec none = {0, 0}, wrong = {0, 1000000000};
    say("no time", recvmmsg(s[1], r, 4, 0, &none));
    say("no such time", recvmmsg(s[1], r, 4, 0, &wrong));
    say("time from nowhere", syscall(SYS_recvmmsg, s[1], r, 4, 0, NOWHERE));
    say("of none", sendmmsg(s[0], m, 0, 0));
    close(s[0]);
    close(s[1]);
}

static void interrupted(void) {
    struct sockaddr_un a = {0};
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(server, (void *)&a, named(&a, "late.sock"));
    listen(server, 1);
    hits = 0;
    on(SIGALRM, 0);
    every_ms(20);
    say("accept without SA_RESTART", accept(server, 0, 0));
    in_ms(0);
    say("a signal came", hits > 0);
    hits = 0;
    on(SIGALRM, SA_RESTART);
    pid_t pid = fork();
    if (!pid) {
        usleep(150000);
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(connect(client, (void *)&a, sizeof a));
    }
    every_ms(20);
    int s = accept(server, 0, 0);
    in_ms(0);
    say("accept with it", s >= 0);
    say("signals came", hits > 0);
    waitpid(pid, 0, 0);
    struct timeval wait = {0, 100000};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    close(s);
    close(server);
    unlink("late.sock");
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) { /* of ours, not of Linux: what is refused by name */
        int s = socket(AF_INET, SOCK_STREAM, 0);
        socklen_t size = 64;
        say("SO_ATTACH_FILTER", setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, buffer, 16));
        say("TCP_ZEROCOPY_RECEIVE", getsockopt(s, IPPROTO_TCP, 35, buffer, &size));
        say("netfilter", getsockopt(s, IPPROTO_IP, 64, buffer, &size));
        say("packet", setsockopt(s, 263, 5, buffer, 16));
        say("no such level", getsockopt(s, 9999, 1, buffer, &size));
        return 0;
    }
    pairs();
    unix_names();
    folders();
    loopback();
    datagrams();
    options();
    messages();
    to_a_child();
    many();
    interrupted();
}
