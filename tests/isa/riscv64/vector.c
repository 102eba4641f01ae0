/* Does single vector instructions and tells what they did: the other half of test_vector_qemu.
 *
 * Standard input is a row of records, struct state below, with the page of memory behind it where `page` says so; each
 * comes back on standard output as the instruction left it. An instruction may touch a0 to a2, fa0 to fa2, vector
 * registers, control registers and the page, which no other page adjoins. What raises a signal is passed over.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE ((unsigned char *)0x50001000)

struct state {
    uint64_t word, page, vl, vtype, vstart, vcsr, fcsr, signal, address;
    uint64_t x[3], f[3], unused;
    uint8_t v[32 * 64]; /* VLEN / 8 bytes each */
};

_Static_assert(sizeof(struct state) == 128 + 2048, "what the assembly below takes for granted");

void do_one(struct state *state, void *code);

__asm__(".text\n.option push\n.option arch, +v\n.global do_one\ndo_one:\n"
        "addi sp, sp, -32\nsd ra, 0(sp)\nsd s0, 8(sp)\nsd s1, 16(sp)\nsd s2, 24(sp)\n"
        "mv s0, a0\nmv s1, a1\ncsrr s2, vlenb\nslli s2, s2, 3\n"
        "addi t0, s0, 128\nvl8re8.v v0, (t0)\nadd t0, t0, s2\nvl8re8.v v8, (t0)\nadd t0, t0, s2\n"
        "vl8re8.v v16, (t0)\nadd t0, t0, s2\nvl8re8.v v24, (t0)\n"
        "ld t0, 16(s0)\nld t1, 24(s0)\nvsetvl zero, t0, t1\n"
        "ld t0, 40(s0)\ncsrw vcsr, t0\nld t0, 48(s0)\ncsrw fcsr, t0\n"
        "ld a0, 72(s0)\nld a1, 80(s0)\nld a2, 88(s0)\nfld fa0, 96(s0)\nfld fa1, 104(s0)\nfld fa2, 112(s0)\n"
        "ld t0, 32(s0)\ncsrw vstart, t0\n"
        "jalr s1\n"
        "csrr t0, vstart\nsd t0, 32(s0)\ncsrr t0, vl\nsd t0, 16(s0)\ncsrr t0, vtype\nsd t0, 24(s0)\n"
        "csrr t0, vcsr\nsd t0, 40(s0)\ncsrr t0, fcsr\nsd t0, 48(s0)\ncsrw fcsr, zero\ncsrw vstart, zero\n"
        "sd a0, 72(s0)\nsd a1, 80(s0)\nsd a2, 88(s0)\nfsd fa0, 96(s0)\nfsd fa1, 104(s0)\nfsd fa2, 112(s0)\n"
        "addi t0, s0, 128\nvs8r.v v0, (t0)\nadd t0, t0, s2\nvs8r.v v8, (t0)\nadd t0, t0, s2\n"
        "vs8r.v v16, (t0)\nadd t0, t0, s2\nvs8r.v v24, (t0)\n"
        "ld ra, 0(sp)\nld s0, 8(sp)\nld s1, 16(sp)\nld s2, 24(sp)\naddi sp, sp, 32\nret\n.option pop\n");

static struct state state;

static void over(int signal, siginfo_t *info, void *context) {
    state.signal = (uint64_t)signal;
    state.address = (uint64_t)info->si_addr;
    ((ucontext_t *)context)->uc_mcontext.__gregs[0] += 4;
}

static int all(ssize_t (*transfer)(int, void *, size_t), int file, void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t now = transfer(file, (char *)data + done, size - done);
        if (now <= 0)
            return 0;
        done += (size_t)now;
    }
    return 1;
}

static ssize_t out(int file, void *data, size_t size) { return write(file, data, size); }

int main(void) {
    struct sigaction action = {.sa_sigaction = over, .sa_flags = SA_SIGINFO};
    int writable = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    uint32_t *code = mmap(0, 1 << 16, writable | PROT_EXEC, flags, -1, 0);
    size_t place = 0;
    sigaction(SIGILL, &action, 0);
    sigaction(SIGSEGV, &action, 0);
    mmap(PAGE - 4096, 3 * 4096, PROT_NONE, flags | MAP_FIXED, -1, 0);
    mprotect(PAGE, 4096, writable);
    while (all(read, 0, &state, sizeof state)) {
        if (state.page && !all(read, 0, PAGE, 4096))
            return 1;
        /* Each in a place of its own, as long as there is one: code that changes is dear. */
        if ((place += 2) == 1 << 14)
            place = 0;
        code[place] = (uint32_t)state.word;
        code[place + 1] = 0x00008067; /* ret */
        __builtin___clear_cache((char *)(code + place), (char *)(code + place + 2));
        state.signal = state.address = 0;
        do_one(&state, code + place);
        if (!all(out, 1, &state, sizeof state) || (state.page && !all(out, 1, PAGE, 4096)))
            return 1;
    }
    return 0;
}
