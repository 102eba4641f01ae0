/* Prints what the kernel handed over: arguments, environment, auxiliary vector, working directory. */
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    char folder[4096];
    printf("argc %d\n", argc);
    for (int i = 0; i < argc; i++) printf("argv[%d] %s\n", i, argv[i]);
    if (argv[argc]) return 1;
    for (char **e = environ; *e; e++) printf("env %s\n", *e);
    printf("cwd %s\n", getcwd(folder, sizeof folder));
    printf("pagesz %lu\n", getauxval(AT_PAGESZ));
    printf("clktck %lu\n", getauxval(AT_CLKTCK));
    printf("secure %lu\n", getauxval(AT_SECURE));
    printf("platform %s\n", getauxval(AT_PLATFORM) ? (char *)getauxval(AT_PLATFORM) : "none");
    printf("execfn %s\n", (char *)getauxval(AT_EXECFN));
    printf("ids %d\n", getauxval(AT_UID) == getuid() && getauxval(AT_GID) == getgid());
    printf("phnum %d\n", getauxval(AT_PHNUM) > 0 && getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
    printf("random %d\n", getauxval(AT_RANDOM) != 0);
    printf("isatty %d\n", isatty(0));
    return 0;
}
