/* Does single instructions and tells what they did: the aarch64 half of test_golden_qemu.
 *
 * Standard input is a row of records, struct state below; each comes back on standard output as the instruction left
 * it. An instruction may touch x2 to x15, vector registers, flags, FPCR and FPSR, and nothing else.
 */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct state {
    uint64_t word, nzcv, fpcr, fpsr;
    uint64_t x[14]; /* x2 and on */
    uint8_t v[32][16];
};

_Static_assert(sizeof(struct state) == 656, "what the assembly below takes for granted");

void do_one(struct state *state, void *code);

#define PAIRS(op)                                                                                                     \
    op " q0, q1, [x19, #144]\n" op " q2, q3, [x19, #176]\n" op " q4, q5, [x19, #208]\n" op " q6, q7, [x19, #240]\n"    \
    op " q8, q9, [x19, #272]\n" op " q10, q11, [x19, #304]\n" op " q12, q13, [x19, #336]\n"                           \
    op " q14, q15, [x19, #368]\n" op " q16, q17, [x19, #400]\n" op " q18, q19, [x19, #432]\n"                         \
    op " q20, q21, [x19, #464]\n" op " q22, q23, [x19, #496]\n" op " q24, q25, [x19, #528]\n"                         \
    op " q26, q27, [x19, #560]\n" op " q28, q29, [x19, #592]\n" op " q30, q31, [x19, #624]\n"                         \
    op " x2, x3, [x19, #32]\n" op " x4, x5, [x19, #48]\n" op " x6, x7, [x19, #64]\n" op " x8, x9, [x19, #80]\n"        \
    op " x10, x11, [x19, #96]\n" op " x12, x13, [x19, #112]\n" op " x14, x15, [x19, #128]\n"

__asm__(".text\n.global do_one\ndo_one:\n"
        "stp x29, x30, [sp, #-96]!\nstp x19, x20, [sp, #16]\n"
        "stp d8, d9, [sp, #32]\nstp d10, d11, [sp, #48]\nstp d12, d13, [sp, #64]\nstp d14, d15, [sp, #80]\n"
        "mov x19, x0\nmov x20, x1\n"
        "ldr x0, [x19, #8]\nmsr nzcv, x0\nldr x0, [x19, #16]\nmsr fpcr, x0\nldr x0, [x19, #24]\nmsr fpsr, x0\n"
        PAIRS("ldp") "blr x20\n" PAIRS("stp")
        "mrs x0, nzcv\nstr x0, [x19, #8]\nmrs x0, fpcr\nstr x0, [x19, #16]\nmrs x0, fpsr\nstr x0, [x19, #24]\n"
        "msr fpcr, xzr\n"
        "ldp d8, d9, [sp, #32]\nldp d10, d11, [sp, #48]\nldp d12, d13, [sp, #64]\nldp d14, d15, [sp, #80]\n"
        "ldp x19, x20, [sp, #16]\nldp x29, x30, [sp], #96\nret\n");

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
    static struct state state;
    uint32_t *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (all(read, 0, &state, sizeof state)) {
        code[0] = (uint32_t)state.word;
        code[1] = 0xd65f03c0; /* ret */
        __builtin___clear_cache((char *)code, (char *)(code + 2));
        do_one(&state, code);
        if (!all(out, 1, &state, sizeof state))
            return 1;
    }
    return 0;
}
