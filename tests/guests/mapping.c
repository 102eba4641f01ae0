/* mmap and its family, brk, and what the kernel must refuse. argv[1] is a file name that may be made. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char *what, int ok) { printf("%s: %s\n", what, ok ? "yes" : strerror(errno)); }

int main(int argc, char **argv) {
    const size_t page = 4096;
    if (argc != 2) return 2;
    setbuf(stdout, NULL);
    char *area = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("mapped", area != MAP_FAILED && !((uintptr_t)area % page));
    say("zero", area[0] == 0 && area[8 * page - 1] == 0);
    memset(area, 7, 8 * page);
    say("hole", munmap(area + 2 * page, page) == 0);
    say("around the hole", area[2 * page - 1] == 7 && area[3 * page] == 7);
    say("fixed", mmap(area + 2 * page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                     area + 2 * page);
    say("fixed is zero", area[2 * page] == 0);
    void *taken = mmap(area, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("noreplace refused: %d\n", taken == MAP_FAILED && errno == EEXIST);
    say("mprotect", mprotect(area, page, PROT_NONE) == 0);
    int hidden = open("/dev/zero", O_RDONLY);
    printf("read into it: %ld %s\n", (long)read(hidden, area, 16), strerror(errno));
    say("mprotect back", mprotect(area, page, PROT_READ | PROT_WRITE) == 0 && area[0] == 7);
    say("dontneed", madvise(area, page, MADV_DONTNEED) == 0 && area[0] == 0);
    char *moved = mremap(area + 3 * page, page, 4 * page, MREMAP_MAYMOVE);
    say("mremap", moved != MAP_FAILED && moved[0] == 7 && moved[2 * page] == (moved == area + 3 * page ? 7 : 0));

    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (write(fd, "file content", 12) != 12) return 1;
    char *shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *own = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    say("file mapped", !memcmp(shared, "file content", 12) && !memcmp(own, "file content", 12));
    own[0] = 'P';
    shared[0] = 'F';
    say("msync", msync(shared, page, MS_SYNC) == 0);
    char first;
    say("shared is seen", pread(fd, &first, 1, 0) == 1 && first == 'F' && own[0] == 'P');

    /* The system call itself: musl's sbrk refuses to move the break. */
    char *end = (char *)syscall(SYS_brk, 0);
    say("brk grows", (char *)syscall(SYS_brk, end + 3 * page) == end + 3 * page);
    end[3 * page - 1] = 1;
    say("brk shrinks", (char *)syscall(SYS_brk, end) == end && (char *)syscall(SYS_brk, 0) == end);
    errno = 0;
    printf("odd address: %d\n", mmap(area + 1, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                                        MAP_FAILED && errno == EINVAL);
    printf("no length: %d\n", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
                                  errno == EINVAL);
    printf("too much: %d\n", mmap(NULL, (size_t)1 << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                                 MAP_FAILED && errno == ENOMEM);
    printf("bad descriptor: %d\n", mmap(NULL, page, PROT_READ, MAP_PRIVATE, 999, 0) == MAP_FAILED &&
                                       errno == EBADF);
    return 0;
}
