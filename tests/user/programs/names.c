/* Files by name and by descriptor as a program sees them. It is to be run in an empty folder. */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#define renameat2(...) syscall(SYS_renameat2, __VA_ARGS__)

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
static void got(const char *what, ssize_t n) {
    if (n < 0) { say(what, n); return; }
    printf("%s: %zd \"%.*s\"\n", what, n, n < 60 ? (int)n : 60, buffer);
    fflush(stdout);
    memset(buffer, 0, 256);
}
static void make(const char *name, const char *content) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write(fd, content, strlen(content));
    close(fd);
}
static long opened(int fd) {
    if (fd >= 0) close(fd);
    return fd < 0 ? -1 : 1;
}
static long raw(long fd) { return fd < 0 ? -1 : opened(fd); }

static void opening(void) {
    umask(022);
    make("file", "some text\n");
    say("open", opened(open("file", O_RDONLY)));
    say("missing", opened(open("missing", O_RDONLY)));
    say("no name", opened(open("", O_RDONLY)));
    say("from nowhere", opened(open(NOWHERE, O_RDONLY)));
    say("exclusively", opened(open("file", O_RDWR | O_CREAT | O_EXCL, 0600)));
    say("a file as a folder", opened(open("file/", O_RDONLY)));
    say("through a file", opened(open("file/x", O_RDONLY)));
    say("O_DIRECTORY", opened(open("file", O_RDONLY | O_DIRECTORY)));
    say("a folder for writing", opened(open(".", O_RDWR)));
    say("a folder", opened(open(".", O_RDONLY | O_DIRECTORY)));
    symlink("file", "link");
    symlink("missing", "dangling");
    symlink("loop2", "loop1");
    symlink("loop1", "loop2");
    say("link", opened(open("link", O_RDONLY)));
    say("O_NOFOLLOW", opened(open("link", O_RDONLY | O_NOFOLLOW)));
    say("the link itself", opened(open("link", O_PATH | O_NOFOLLOW)));
    say("dangling", opened(open("dangling", O_RDONLY)));
    say("dangling exclusively", opened(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0600)));
    say("dangling made", opened(open("dangling", O_WRONLY | O_CREAT, 0600)));
    say("its target", access("missing", F_OK));
    say("loop", opened(open("loop1", O_RDONLY)));
    char longest[300];
    memset(longest, 'x', sizeof longest);
    longest[256] = 0;
    say("a long name", opened(open(longest, O_RDONLY)));
    memset(buffer, '/', 5000);
    buffer[5000] = 0;
    say("a longer one", opened(open(buffer, O_RDONLY)));
    buffer[4095] = 0;
    say("many slashes", opened(open(buffer, O_RDONLY)));
    say("at nothing", opened(openat(1000, "file", O_RDONLY)));
    say("at a file", opened(openat(open("file", O_RDONLY), "x", O_RDONLY)));
    mkdir("folder", 0750);
    int folder = open("folder", O_RDONLY | O_DIRECTORY);
    say("at a folder", opened(openat(folder, "new", O_RDWR | O_CREAT, 0666)));
    say("it is there", access("folder/new", F_OK));
    say("and back", opened(openat(folder, "../file", O_RDONLY)));
    say("by its descriptor in proc", opened((snprintf(buffer, 99, "/proc/self/fd/%d/new", folder), open(buffer, O_RDONLY))));
    struct open_how how = {.flags = O_RDONLY};
    say("openat2", raw(syscall(SYS_openat2, folder, "new", &how, sizeof how)));
    how.mode = 0600;
    say("openat2 with a mode", raw(syscall(SYS_openat2, folder, "new", &how, sizeof how)));
    how.mode = 0;
    say("openat2 too short", raw(syscall(SYS_openat2, folder, "new", &how, 8)));
    say("openat2 too long", raw(syscall(SYS_openat2, folder, "new", &how, 5000)));
    say("openat2 from nowhere", raw(syscall(SYS_openat2, folder, "new", NOWHERE, sizeof how)));
    struct { struct open_how how; uint64_t more; } larger = {{.flags = O_RDONLY}, 0};
    say("openat2 of tomorrow", raw(syscall(SYS_openat2, folder, "new", &larger, sizeof larger)));
    larger.more = 1;
    say("openat2 that it knows nothing of", raw(syscall(SYS_openat2, folder, "new", &larger, sizeof larger)));
    how.flags = 1ULL << 40;
    say("openat2 with a flag that is none", raw(syscall(SYS_openat2, folder, "new", &how, sizeof how)));
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    say("O_TMPFILE", fd >= 0 ? write(fd, "hidden", 6) : errno == EOPNOTSUPP ? 6 : -1);
    close(fd);
    fd = open("file", O_PATH);
    say("read from O_PATH", read(fd, buffer, 1));
    close(fd);
    fd = open("append", O_WRONLY | O_CREAT | O_APPEND, 0600);
    write(fd, "one", 3);
    lseek(fd, 0, SEEK_SET);
    write(fd, "two", 3);
    say("appended", lseek(fd, 0, SEEK_END));
    say("flags", fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    say("F_SETFL", fcntl(fd, F_SETFL, O_NONBLOCK));
    say("flags", fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    close(fd);
    close(folder);
}

static void show(const char *what, struct stat *s) {
    printf("%s: mode %o, %ld links, %ld bytes, times %ld.%09ld %ld.%09ld\n", what, s->st_mode, (long)s->st_nlink,
           S_ISREG(s->st_mode) ? (long)s->st_size : -1, (long)s->st_atim.tv_sec, s->st_atim.tv_nsec,
           (long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec);
    fflush(stdout);
}

static void attributes(void) {
    struct stat s, t;
    struct statx x;
    struct timespec when[2] = {{1000000000, 1}, {1234567890, 987654321}}, one[2] = {{0, UTIME_OMIT}, {5, 6}};
    say("utimensat", utimensat(AT_FDCWD, "file", when, 0));
    say("stat", stat("file", &s));
    show("file", &s);
    say("one of them", utimensat(AT_FDCWD, "link", one, 0));
    stat("file", &s);
    show("through the link", &s);
    say("of the link", utimensat(AT_FDCWD, "link", when, AT_SYMLINK_NOFOLLOW));
    lstat("link", &s);
    show("link", &s);
    int fd = open("file", O_RDWR);
    say("futimens", futimens(fd, when));
    say("fstat", fstat(fd, &s));
    show("by descriptor", &s);
    say("fstatat of a descriptor", fstatat(fd, "", &t, AT_EMPTY_PATH));
    say("the same file", s.st_ino == t.st_ino && s.st_dev == t.st_dev && s.st_blksize == t.st_blksize && s.st_blocks == t.st_blocks && s.st_uid == t.st_uid);
    say("without AT_EMPTY_PATH", fstatat(fd, "", &t, 0));
    say("fstatat to nowhere", syscall(SYS_newfstatat, fd, "", NOWHERE, AT_EMPTY_PATH));
    say("fstat of nothing", fstat(1000, &t));
    say("stat of nothing", stat("nothing", &t));
    say("stat through a file", stat("file/x", &t));
    say("a flag that is none", fstatat(AT_FDCWD, "file", &t, 0x40000000));
    say("statx", statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &x));
    say("the same", x.stx_ino == s.st_ino && x.stx_size == (uint64_t)s.st_size && x.stx_mtime.tv_nsec == s.st_mtim.tv_nsec && makedev(x.stx_dev_major, x.stx_dev_minor) == s.st_dev);
    say("statx of a descriptor", statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x));
    say("statx of a link", statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x) ? -1 : S_ISLNK(x.stx_mode));
    say("statx to nowhere", statx(AT_FDCWD, "file", 0, STATX_SIZE, NOWHERE));
    say("chmod", chmod("file", 04751));
    stat("file", &s);
    say("mode", s.st_mode);
    say("fchmod", fchmod(fd, 0640));
    say("fchmodat", fchmodat(AT_FDCWD, "file", 0644, 0));
    say("chown to whom it belongs", fchownat(AT_FDCWD, "link", getuid(), getgid(), AT_SYMLINK_NOFOLLOW));
    say("truncate", truncate("file", 4));
    say("ftruncate", ftruncate(fd, 4096 * 3));
    fstat(fd, &s);
    say("size", s.st_size);
    say("negative size", ftruncate(fd, -1));
    say("fallocate", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8192));
    say("access", access("file", R_OK | W_OK));
    say("access by no right", access("file", 64));
    say("faccessat2", syscall(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
    struct statvfs v;
    say("statvfs", statvfs("file", &v) ? -1 : v.f_namemax);
    say("fstatvfs", fstatvfs(fd, &v) ? -1 : v.f_namemax);
    close(fd);
    stat("/dev/null", &s);
    say("a device", S_ISCHR(s.st_mode) && major(s.st_rdev) == 1 && minor(s.st_rdev) == 3);
}

static void linking(void) {
    struct stat s;
    say("link", linkat(AT_FDCWD, "file", AT_FDCWD, "hard", 0));
    stat("hard", &s);
    say("links", s.st_nlink);
    say("link to a link", linkat(AT_FDCWD, "link", AT_FDCWD, "hardlink", 0));
    lstat("hardlink", &s);
    say("is a link", S_ISLNK(s.st_mode));
    say("AT_SYMLINK_FOLLOW", linkat(AT_FDCWD, "link", AT_FDCWD, "harder", AT_SYMLINK_FOLLOW));
    lstat("harder", &s);
    say("is a file", S_ISREG(s.st_mode));
    say("link that is there", link("file", "hard"));
    say("symlink that is there", symlink("file", "link"));
    got("readlink", readlink("link", buffer, sizeof buffer));
    got("a part", readlink("link", buffer, 2));
    say("no room", readlink("link", buffer, 0));
    say("readlink of a file", readlink("file", buffer, sizeof buffer));
    say("readlink of nothing", readlink("nothing", buffer, sizeof buffer));
    say("readlink to nowhere", readlink("link", NOWHERE, 20));
    int fd = open("link", O_PATH | O_NOFOLLOW);
    got("readlink of a descriptor", readlinkat(fd, "", buffer, sizeof buffer));
    close(fd);
    say("rename", rename("hard", "hard2"));
    say("rename of nothing", rename("hard", "hard3"));
    say("RENAME_NOREPLACE", renameat2(AT_FDCWD, "hard2", AT_FDCWD, "file", RENAME_NOREPLACE));
    say("RENAME_EXCHANGE", renameat2(AT_FDCWD, "link", AT_FDCWD, "file", RENAME_EXCHANGE));
    lstat("file", &s);
    say("exchanged", S_ISLNK(s.st_mode));
    renameat2(AT_FDCWD, "link", AT_FDCWD, "file", RENAME_EXCHANGE);
    say("mkdir", mkdir("folder2", 0700));
    say("mkdir with a slash", mkdir("folder3/", 0700));
    say("mkdir that is there", mkdir("folder2", 0700));
    say("mkdir below nothing", mkdir("nothing/x", 0700));
    say("mkdir of a link", mkdir("dangling", 0700));
    say("unlink of a folder", unlink("folder2"));
    say("rmdir of a file", rmdir("file"));
    say("rmdir of a full one", rmdir("folder"));
    say("rmdir", rmdir("folder2"));
    say("rmdir of here", rmdir("."));
    say("a folder into itself", rename("folder", "folder/inside"));
    say("unlink", unlink("hard2"));
    say("unlink of nothing", unlink("hard2"));
    say("mkfifo", mkfifo("fifo", 0600));
    say("nobody reads it", opened(open("fifo", O_WRONLY | O_NONBLOCK)));
    say("unlink of a link leaves its target", unlink("link") || access("file", F_OK));
    symlink("file", "link");
}

static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }
static void list(const char *name) {
    DIR *d = opendir(name);
    char *names[100];
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char *text = malloc(300);
        snprintf(text, 300, "%s%c", e->d_name, e->d_type == DT_DIR ? '/' : e->d_type == DT_LNK ? '@' : e->d_type == DT_FIFO ? '|' : ' ');
        names[n++] = text;
    }
    if (d) closedir(d);
    qsort(names, n, sizeof *names, by_name);
    printf("%s:", name);
    for (int i = 0; i < n; i++) printf(" %s", names[i]);
    printf("\n");
    fflush(stdout);
}

static const char *tail(const char *path) {
    const char *at = strrchr(path, '/');
    return at ? at + 1 : path;
}
static void folders(void) {
    list(".");
    list("folder");
    int top = open(".", O_RDONLY | O_DIRECTORY);
    say("chdir", chdir("folder"));
    say("getcwd", getcwd(buffer, sizeof buffer) ? strcmp(tail(buffer), "folder") : -1);
    say("getcwd without room", getcwd(buffer, 3) ? 0 : -1);
    say("to nowhere", syscall(SYS_getcwd, NOWHERE, 4096));
    say("relative", access("new", F_OK));
    say("chdir to a file", chdir("new"));
    say("chdir to nothing", chdir("nothing"));
    say("chdir to no name", chdir(""));
    say("fchdir", fchdir(top));
    say("back", access("folder/new", F_OK));
    int file = open("file", O_RDONLY);
    say("fchdir to a file", fchdir(file));
    say("fchdir to nothing", fchdir(1000));
    say("getdents of a file", syscall(SYS_getdents64, file, buffer, 1000));
    say("getdents without room", syscall(SYS_getdents64, top, buffer, 10));
    say("getdents to nowhere", syscall(SYS_getdents64, top, NOWHERE, 1000));
    mkdir("gone", 0700);
    chdir("gone");
    rmdir("../gone");
    say("getcwd of a folder that is gone", getcwd(buffer, sizeof buffer) && buffer[0] == '/' ? 0 : -1);
    say("a file in it", opened(open("x", O_CREAT | O_WRONLY, 0600)));
    fchdir(top);
    close(top);
    close(file);
}

static void data(void) {
    int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), other, p[2];
    struct iovec v[] = {{"alpha ", 6}, {"", 0}, {"beta", 4}}, r[] = {{buffer, 3}, {buffer + 3, 50}};
    say("writev", writev(fd, v, 3));
    say("pwritev", pwritev(fd, v, 3, 100));
    got("preadv", preadv(fd, r, 2, 0));
    got("preadv2 at the position", (lseek(fd, 2, SEEK_SET), syscall(SYS_preadv2, fd, r, 2, -1L, 0L, 0)));
    say("pwritev2", syscall(SYS_pwritev2, fd, v, 3, 200L, 0L, 0));
    say("a flag that is none", syscall(SYS_preadv2, fd, r, 2, 0L, 0L, 0x1000));
    say("negative position", pread(fd, buffer, 1, -5));
    say("pwrite", pwrite(fd, "ALPHA", 5, 0));
    lseek(fd, 0, SEEK_SET);
    got("readv", readv(fd, r, 2));
    say("too many pieces", readv(fd, r, 1025));
    say("a negative number", readv(fd, r, -1));
    say("none", readv(fd, r, 0));
    v[1] = (struct iovec){NOWHERE, 4};
    lseek(fd, 0, SEEK_SET);
    say("as far as it goes", writev(fd, v, 3));
    v[1] = (struct iovec){NOWHERE, 0};
    say("an empty piece from nowhere", writev(fd, v, 3));
    v[1] = (struct iovec){"", -1};
    say("a negative size", writev(fd, v, 3));
    say("pieces from nowhere", writev(fd, NOWHERE, 3));
    say("read to nowhere", (lseek(fd, 0, SEEK_SET), read(fd, NOWHERE, 4)));
    say("read into the middle of nowhere", read(fd, (void *)-8L, 4));
    say("write from nowhere", write(fd, NOWHERE, 4));
    say("SEEK_HOLE", lseek(fd, 0, SEEK_HOLE) > 0);
    say("a seek that is none", lseek(fd, 0, 77));
    ftruncate(fd, 100000);
    memset(buffer, 'z', 4);
    pwrite(fd, buffer, 4, 99996);
    other = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
    off_t at = 99990;
    say("sendfile", sendfile(other, fd, &at, 1000));
    say("and where", at);
    say("sendfile with a position from nowhere", sendfile(other, fd, NOWHERE, 10));
    off_t in = 99996, out = 0;
    say("copy_file_range", copy_file_range(fd, &in, other, &out, 4, 0));
    say("positions", in * 10 + out);
    got("copied", pread(other, buffer, 20, 0));
    pipe(p);
    at = 99996;
    say("splice", splice(fd, &at, p[1], 0, 10, 0));
    got("from the pipe", read(p[0], buffer, 20));
    struct iovec mapped = {"vmsplice", 8};
    say("vmsplice", vmsplice(p[1], &mapped, 1, 0));
    got("from the pipe", read(p[0], buffer, 20));
    say("F_SETPIPE_SZ", fcntl(p[0], F_SETPIPE_SZ, 8192));
    say("F_GETPIPE_SZ", fcntl(p[1], F_GETPIPE_SZ));
    int waiting = 0;
    write(p[1], "five!", 5);
    say("FIONREAD", ioctl(p[0], FIONREAD, &waiting) ? -1 : waiting);
    say("FIONREAD to nowhere", ioctl(p[0], FIONREAD, NOWHERE));
    waiting = 1;
    say("FIONBIO", ioctl(p[0], FIONBIO, &waiting));
    read(p[0], buffer, 5);
    say("empty", read(p[0], buffer, 5));
    say("FIOCLEX", ioctl(p[0], FIOCLEX) ? -1 : fcntl(p[0], F_GETFD));
    say("FIONCLEX", ioctl(p[0], FIONCLEX) ? -1 : fcntl(p[0], F_GETFD));
    say("no terminal", ioctl(fd, TCGETS, buffer));
    say("an ioctl that is none", ioctl(fd, 0x1234567, buffer));
    say("fsync", fsync(fd) + fdatasync(fd));
    say("fadvise", posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    say("readahead", readahead(fd, 0, 4096));
    say("sync_file_range", sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
    close(p[0]);
    close(p[1]);
    close(other);
    close(fd);
}

static void descriptors(void) {
    int fd = open("file", O_RDWR), n;
    say("F_DUPFD", (n = fcntl(fd, F_DUPFD, 50)));
    say("F_DUPFD_CLOEXEC", fcntl(fcntl(fd, F_DUPFD_CLOEXEC, 60), F_GETFD));
    say("dup2", dup2(fd, 55));
    say("dup2 of itself", dup2(fd, fd) == fd);
    say("dup3 of itself", dup3(fd, fd, 0));
    say("dup3", fcntl(dup3(fd, 56, O_CLOEXEC), F_GETFD));
    say("a flag that is none", dup3(fd, 56, 1));
    say("dup of nothing", dup(1000));
    say("dup2 to a number that is none", dup2(fd, -1));
    say("F_SETFD", fcntl(55, F_SETFD, FD_CLOEXEC) + fcntl(55, F_GETFD));
    say("close_range", syscall(SYS_close_range, 50, 60, 0));
    say("closed", fcntl(50, F_GETFD));
    say("close_range backwards", syscall(SYS_close_range, 60, 50, 0));
    say("CLOSE_RANGE_CLOEXEC", syscall(SYS_close_range, fd, fd, 4) ? -1 : fcntl(fd, F_GETFD));
    say("a flag that is none", syscall(SYS_close_range, 50, 60, 64));
    say("close twice", (n = dup(fd), close(n), close(n)));
    say("a command that is none", fcntl(fd, 7777));
    /* Locks. */
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3}, found = l;
    say("F_SETLK", fcntl(fd, F_SETLK, &l));
    int status;
    pid_t pid = fork();
    if (!pid) {
        if (fcntl(fd, F_SETLK, &l) != -1 || (errno != EAGAIN && errno != EACCES)) _exit(1);
        if (fcntl(fd, F_GETLK, &found) || found.l_pid != getppid() || found.l_start != 2 || found.l_len != 3) _exit(2);
        if (flock(open("file", O_RDONLY), LOCK_EX | LOCK_NB)) _exit(3);
        _exit(42);
    }
    waitpid(pid, &status, 0);
    say("another process", WEXITSTATUS(status));
    l.l_type = F_UNLCK;
    say("unlock", fcntl(fd, F_SETLKW, &l));
    say("lock from nowhere", fcntl(fd, F_SETLK, NOWHERE));
    l = (struct flock){.l_type = F_RDLCK};
    say("F_OFD_SETLK", fcntl(fd, F_OFD_SETLK, &l));
    say("flock", flock(fd, LOCK_SH));
    n = open("file", O_RDONLY);
    say("flock by another", flock(n, LOCK_EX | LOCK_NB));
    close(n);
    say("F_SETOWN", fcntl(fd, F_SETOWN, getpid()));
    say("F_GETOWN", fcntl(fd, F_GETOWN) == getpid());
    struct { int type, pid; } owner = {2, 0}, seen = {0, 0};
    owner.pid = getpid();
    say("F_SETOWN_EX", fcntl(fd, F_SETOWN_EX, &owner));
    say("F_GETOWN_EX", fcntl(fd, F_GETOWN_EX, &seen) ? -1 : seen.type * 10 + (seen.pid == getpid()));
    close(fd);
    fd = memfd_create("secret", MFD_ALLOW_SEALING);
    say("memfd", write(fd, "sealed", 6));
    say("F_ADD_SEALS", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE));
    say("F_GET_SEALS", fcntl(fd, F_GET_SEALS));
    say("write", write(fd, "x", 1));
    close(fd);
    fd = inotify_init1(IN_NONBLOCK);
    n = inotify_add_watch(fd, "folder", IN_CREATE | IN_DELETE);
    make("folder/watched", "");
    unlink("folder/watched");
    ssize_t size = read(fd, buffer, sizeof buffer);
    struct inotify_event *e = (void *)buffer;
    say("inotify", size > 0 && e->wd == n && e->mask == IN_CREATE && !strcmp(e->name, "watched"));
    say("and no more", inotify_rm_watch(fd, n));
    close(fd);
}

/* What the process is told of itself, whatever carries it out. */
static int contains(const char *file, const char *what) {
    int fd = open(file, O_RDONLY);
    if (fd < 0) return -1;
    size_t n = 0;
    for (ssize_t part; (part = read(fd, buffer + n, sizeof buffer - 1 - n)) > 0;) n += part;
    close(fd);
    buffer[n] = 0;
    for (size_t i = 0; i + strlen(what) <= n; i++)
        if (!memcmp(buffer + i, what, strlen(what))) return 1;
    return 0;
}
static void *of_a_thread(void *arg) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/task/%ld/maps", (long)syscall(SYS_gettid));
    *(int *)arg = contains(name, "[stack]");
    return 0;
}
static void itself(const char *program) {
    struct stat a, b;
    say("maps", contains("/proc/self/maps", "[stack]"));
    snprintf(buffer, 100, "%012lx-", (unsigned long)&buffer & -4096);
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/maps", getpid());
    say("maps by number", contains(name, "r-xp"));
    say("thread-self", contains("/proc/thread-self/maps", "[stack]"));
    pthread_t t;
    int found = 0;
    pthread_create(&t, 0, of_a_thread, &found);
    pthread_join(t, 0);
    say("maps of a thread", found);
    say("of no thread", contains("/proc/self/task/1/maps", "x") == -1 && errno == ENOENT);
    say("cmdline", contains("/proc/self/cmdline", "\0some arguments\0") );
    say("whole arguments", contains("/proc/self/cmdline", "some arguments"));
    say("environ", contains("/proc/self/environ", getenv("MARK") ? "MARK=of the test" : "PATH="));
    say("exe is the program", stat("/proc/self/exe", &a) || stat(program, &b) ? -1 : a.st_ino == b.st_ino);
    ssize_t n = readlink("/proc/self/exe", buffer, sizeof buffer - 1);
    buffer[n > 0 ? n : 0] = 0;
    say("its name", n > 0 && !strcmp(tail(buffer), tail(program)));
    say("a part of its name", readlink("/proc/self/exe", buffer, 3));
    int fd = open("/proc/self/exe", O_RDONLY);
    say("exe can be read", read(fd, buffer, 4) == 4 && !memcmp(buffer, "\177ELF", 4));
    close(fd);
    say("for writing", opened(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW)));
    fd = open("/proc/self/auxv", O_RDONLY);
    Elf64_auxv_t aux;
    long page = 0, entry = 0;
    while (read(fd, &aux, sizeof aux) == sizeof aux) {
        if (aux.a_type == AT_PAGESZ) page = aux.a_un.a_val;
        if (aux.a_type == AT_ENTRY) entry = aux.a_un.a_val;
    }
    close(fd);
    say("auxv", page == sysconf(_SC_PAGESIZE) && entry == (long)getauxval(AT_ENTRY));
    say("maps as a folder", opened(open("/proc/self/maps", O_RDONLY | O_DIRECTORY)));
    fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    say("the lowest descriptor", (n = open("/proc/self/maps", O_RDONLY)) == fd + 1);
    say("cloexec", fcntl(fd, F_GETFD) * 10 + fcntl(n, F_GETFD));
    close(fd);
    close(n);
    chdir("/proc/self");
    say("relative", contains("maps", "[stack]"));
    say("relative", contains("./fd/../maps", "[stack]"));
    n = readlink("exe", buffer, sizeof buffer - 1);
    buffer[n > 0 ? n : 0] = 0;
    say("exe", n > 0 && !strcmp(tail(buffer), tail(program)));
    DIR *d = opendir("/proc/self/fd");
    int many = 0;
    for (struct dirent *e; (e = readdir(d));) many += e->d_name[0] != '.';
    closedir(d);
    say("descriptors: 0 to 2 and the folder's", many);
    say("status", contains("/proc/self/status", "Pid:"));
}

int main(int argc, char **argv) {
    if (argc > 2) { /* of ours, not of Linux: files that would show the host's memory */
        static const char *const files[] = {"mem", "smaps", "smaps_rollup", "pagemap", "numa_maps", "syscall", "stack", "maps"};
        for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
            char name[64];
            snprintf(name, sizeof name, "/proc/%s/%s", argv[2], files[i]);
            say(files[i], opened(open(name, i == 7 ? O_RDWR : O_RDONLY)));
        }
        say("map_files", opened(open("/proc/self/map_files", O_RDONLY)));
        return 0;
    }
    opening();
    attributes();
    linking();
    folders();
    data();
    descriptors();
    itself(argv[0]);
}
