/* A stack machine: a switch in a loop, one indirect jump a bytecode. It runs a program that adds up the lengths
 * of the Collatz sequences of 1, 2, ... argv[1]. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum op { PUSH, LOAD, STORE, ADD, MUL, AND, SHR, XOR, LESS, EQ, JZ, JMP, DUP, HALT };
enum var { LIMIT, N, X, LEN, SUM };

static int32_t code[128];
static int at;

static void op(enum op o) { code[at++] = o; }
static void op1(enum op o, int arg) { code[at++] = o, code[at++] = arg; }
static int jump(enum op o) { op1(o, 0); return at - 1; }

/* sum = 0; for (n = 1; n < limit; n++) {
 *     len = 0; for (x = n; x != 1; len++) x = x & 1 ? x * 3 + 1 : x >> 1;
 *     sum = sum * 3 ^ len; } */
static void assemble(void)
{
    op1(PUSH, 1), op1(STORE, N);
    int outer = at;
    op1(LOAD, N), op1(LOAD, LIMIT), op(LESS);
    int done = jump(JZ);
    op1(LOAD, N), op1(STORE, X), op1(PUSH, 0), op1(STORE, LEN);
    int inner = at;
    op1(LOAD, X), op1(PUSH, 1), op(EQ);
    int more = jump(JZ), out = jump(JMP);
    code[more] = at;
    op1(LOAD, X), op(DUP), op1(PUSH, 1), op(AND);
    int even = jump(JZ);
    op1(PUSH, 3), op(MUL), op1(PUSH, 1), op(ADD);
    int joined = jump(JMP);
    code[even] = at;
    op1(PUSH, 1), op(SHR);
    code[joined] = at;
    op1(STORE, X), op1(LOAD, LEN), op1(PUSH, 1), op(ADD), op1(STORE, LEN), op1(JMP, inner);
    code[out] = at;
    op1(LOAD, SUM), op1(PUSH, 3), op(MUL), op1(LOAD, LEN), op(XOR), op1(STORE, SUM);
    op1(LOAD, N), op1(PUSH, 1), op(ADD), op1(STORE, N), op1(JMP, outer);
    code[done] = at;
    op(HALT);
}

static int64_t run(int64_t limit)
{
    int64_t stack[16], var[8] = {limit}, *sp = stack;
    const int32_t *pc = code;
    for (;;) {
        switch ((enum op)*pc++) {
        case PUSH: *sp++ = *pc++; break;
        case LOAD: *sp++ = var[*pc++]; break;
        case STORE: var[*pc++] = *--sp; break;
        case ADD: sp--, sp[-1] += sp[0]; break;
        case MUL: sp--, sp[-1] = (int64_t)((uint64_t)sp[-1] * (uint64_t)sp[0]); break;
        case AND: sp--, sp[-1] &= sp[0]; break;
        case SHR: sp--, sp[-1] = (int64_t)((uint64_t)sp[-1] >> (sp[0] & 63)); break;
        case XOR: sp--, sp[-1] ^= sp[0]; break;
        case LESS: sp--, sp[-1] = sp[-1] < sp[0]; break;
        case EQ: sp--, sp[-1] = sp[-1] == sp[0]; break;
        case JZ: pc = *--sp ? pc + 1 : code + *pc; break;
        case JMP: pc = code + *pc; break;
        case DUP: sp[0] = sp[-1], sp++; break;
        case HALT: return var[SUM];
        }
    }
}

int main(int argc, char **argv)
{
    assemble();
    printf("checksum %016llx\n", (unsigned long long)run(argc > 1 ? atol(argv[1]) : 10));
    return 0;
}
