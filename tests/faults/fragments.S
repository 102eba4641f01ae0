/* The code that faults: loops whose last turn does what it must not, with every register holding a known value.

enter() has all registers loaded and goes there; `done` stores them all and returns to the caller. In between a fragment has a0: a good pointer, a1: a bad one, a2: turns to go before the bad one is used, a5: the last turn (0, or 1 for a call that
does nothing wrong); the rest are marks (x5 = 0x0505...).
What stands in front of the access in a turn must be seen by a handler, what stands behind it must not. Lengths are
fixed (no relaxation; compressed only where it is the point), so that addresses can stand in golden files. */

        .attribute arch, "rv64imafdc_zfh"
        .option norelax
        .option norvc

        /* A row of fragment_table, for C and for whoever reads addresses. */
        .macro LABEL name, at
        .pushsection .rodata.fragment_names, "a"
7770:   .asciz "\name"
        .popsection
        .pushsection .rodata.fragments, "a"
        .dword \at, 7770b
        .popsection
        .endm

        .macro FRAGMENT name
        .balign 8
7771:
        LABEL "\name", 7771b
        .endm

        /* a3: this turn's pointer, chosen without a branch: what was never taken need not be in compiled code. */
        .macro CHOOSE good=a0, number=a2
        snez a6, \number
        neg a6, a6
        xor a3, \good, a1
        and a3, a3, a6
        xor a3, a3, a1
        .endm

        .macro AGAIN
        addi a2, a2, -1
        bge a2, a5, 7772b
        j done
        .endm

        /* One access a turn, between registers that are dirty and registers that must not be yet. */
        .macro ACCESS name, insn:vararg
        FRAGMENT "\name"
7772:   CHOOSE
        addi t0, t0, 1
        xor t1, t1, t0
        \insn
        add t3, t3, t2
        addi t4, t4, 3
        AGAIN
        .endm

        .macro ACCESS_C name, insn:vararg
        FRAGMENT "\name"
7772:   CHOOSE
        addi t0, t0, 1
        .option rvc
        \insn
        .option norvc
        add t3, t3, a4
        addi t4, t4, 3
        AGAIN
        .endm

        /* Through the stack pointer. */
        .macro ACCESS_SP name, insn:vararg
        FRAGMENT "\name"
7772:   CHOOSE
        mv sp, a3
        addi t0, t0, 1
        .option rvc
        \insn
        .option norvc
        add t3, t3, a4
        AGAIN
        .endm

        .section .rodata.fragments, "a"
        .balign 8
        .globl fragment_table, fragment_table_end, fragment_names, fragment_names_end
fragment_table:
        .section .rodata.fragment_names, "a"
fragment_names:

        .section .text.fragments, "ax"
        .balign 4096
        .globl fragments_begin
fragments_begin:

        ACCESS "lb", lb t2, 0(a3)
        ACCESS "lbu", lbu t2, 0(a3)
        ACCESS "lh", lh t2, 0(a3)
        ACCESS "lhu", lhu t2, 0(a3)
        ACCESS "lw", lw t2, 0(a3)
        ACCESS "lwu", lwu t2, 0(a3)
        ACCESS "ld", ld t2, 0(a3)
        ACCESS "ld+2047", ld t2, 2047(a3)
        ACCESS "ld-2048", ld t2, -2048(a3)
        ACCESS "ld itself", ld a3, 0(a3)
        ACCESS "ld x0", ld zero, 0(a3)
        ACCESS "flw", flw ft2, 0(a3)
        ACCESS "fld", fld ft2, 0(a3)
        ACCESS "flh", flh ft2, 0(a3)
        ACCESS "lr.w", lr.w t2, (a3)
        ACCESS "lr.d", lr.d.aqrl t2, (a3)
        ACCESS "sb", sb t2, 0(a3)
        ACCESS "sh", sh t2, 0(a3)
        ACCESS "sw", sw t2, 0(a3)
        ACCESS "sd", sd t2, 0(a3)
        ACCESS "sd+2047", sd t2, 2047(a3)
        ACCESS "sd x0", sd zero, 0(a3)
        ACCESS "fsw", fsw ft2, 0(a3)
        ACCESS "fsd", fsd ft2, 0(a3)
        ACCESS "fsh", fsh ft2, 0(a3)
        ACCESS "amoswap.w", amoswap.w t2, t0, (a3)
        ACCESS "amoadd.d", amoadd.d t2, t0, (a3)
        ACCESS "amoadd.d itself", amoadd.d a3, t0, (a3)
        ACCESS "amoadd.w x0", amoadd.w zero, t0, (a3)
        ACCESS "amoxor.w", amoxor.w.aq t2, t0, (a3)
        ACCESS "amoand.d", amoand.d.rl t2, t0, (a3)
        ACCESS "amoor.w", amoor.w t2, t0, (a3)
        ACCESS "amomin.d", amomin.d t2, t0, (a3)
        ACCESS "amomax.w", amomax.w t2, t0, (a3)
        ACCESS "amominu.d", amominu.d t2, t0, (a3)
        ACCESS "amomaxu.w", amomaxu.w.aqrl t2, t0, (a3)
        ACCESS_C "c.lw", c.lw a4, 64(a3)
        ACCESS_C "c.ld", c.ld a4, 64(a3)
        ACCESS_C "c.fld", c.fld fa4, 64(a3)
        ACCESS_C "c.sw", c.sw a4, 64(a3)
        ACCESS_C "c.sd", c.sd a4, 64(a3)
        ACCESS_C "c.fsd", c.fsd fa4, 64(a3)
        ACCESS_SP "c.lwsp", c.lwsp a4, 64(sp)
        ACCESS_SP "c.ldsp", c.ldsp a4, 64(sp)
        ACCESS_SP "c.fldsp", c.fldsp fa4, 64(sp)
        ACCESS_SP "c.swsp", c.swsp a4, 64(sp)
        ACCESS_SP "c.sdsp", c.sdsp a4, 64(sp)
        ACCESS_SP "c.fsdsp", c.fsdsp fa4, 64(sp)

        /* A reservation of what can be read, and a store to it. */
        .macro CONDITIONAL name, size
        FRAGMENT "\name"
7772:   CHOOSE
        addi t0, t0, 1
        lr.\size t1, (a3)
        addi t5, t1, 1
        sc.\size t2, t5, (a3)
        add t3, t3, t2
        addi t4, t4, 3
        AGAIN
        .endm
        CONDITIONAL "sc.w", w
        CONDITIONAL "sc.d", d

        /* Reserved here, stored there: no access, so no fault either. */
        FRAGMENT "sc elsewhere"
7772:   CHOOSE
        lr.d t1, (a0)
        sc.d t2, t5, (a3)
        add t3, t3, t2
        AGAIN

        /* -- where in the loop */
        FRAGMENT "at the head"
        mv a3, a0
7772:   ld t2, 0(a3)
        add t3, t3, t2
        addi t0, t0, 1
        addi a2, a2, -1
        CHOOSE
        bge a2, a5, 7772b
        j done

        FRAGMENT "at the end"
7772:   CHOOSE
        addi a2, a2, -1
        addi t0, t0, 1
        sd t0, 0(a3)
        bge a2, a5, 7772b
        j done

        /* Three accesses a turn; registers change between them. */
        .macro MANY name, one, two, three
        FRAGMENT "\name"
7772:   CHOOSE
        addi t0, t0, 1
        ld t1, 0(\one)
        addi t0, t0, 1
        addi t2, t2, 1
        sd t2, 8(\two)
        addi t2, t2, 1
        add t3, t3, t1
        addi t0, t0, 1
        amoadd.d t4, t0, (\three)
        add t5, t5, t4
        addi t0, t0, 1
        addi t2, t2, 1
        AGAIN
        .endm
        MANY "first of three", a3, a0, a0
        MANY "second of three", a0, a3, a0
        MANY "third of three", a0, a0, a3

        /* -- walks off the end of an array, or off its beginning: a0 moves on until it is too far */
        .macro WALK name, step, insn:vararg
        FRAGMENT "\name"
7772:   addi t0, t0, 1
        \insn
        add t3, t3, t2
        addi a0, a0, \step
        AGAIN
        .endm
        WALK "walk by 1", 1, lbu t2, 0(a0)
        WALK "walk by 8", 8, ld t2, 0(a0)
        WALK "walk by 8, storing", 8, sd t0, 0(a0)
        WALK "walk by 8, floating", 8, fld ft2, 0(a0)
        WALK "walk down", -8, ld t2, 0(a0)
        WALK "walk down, storing", -16, sd t0, 8(a0)
        WALK "walk by 2000", 2000, lw t2, 8(a0)
        WALK "walk by an atomic", 4, amoadd.w t2, t0, (a0)

        FRAGMENT "unrolled"
7772:   ld t1, 0(a0)
        add t0, t0, t1
        ld t2, 8(a0)
        add t0, t0, t2
        ld t3, 16(a0)
        add t0, t0, t3
        ld t4, 24(a0)
        add t0, t0, t4
        addi a0, a0, 32
        AGAIN

        FRAGMENT "unrolled copy"
        mv a3, a0
7772:   ld t1, 0(a0)
        ld t2, 8(a0)
        sd t1, 0(a1)
        sd t2, 8(a1)
        ld t1, 16(a0)
        ld t2, 24(a0)
        sd t1, 16(a1)
        sd t2, 24(a1)
        addi a0, a0, 32
        addi a1, a1, 32
        AGAIN

        FRAGMENT "a string's end"          /* strlen, which looks at 8 bytes at once */
7772:   ld t1, 0(a0)
        addi a0, a0, 8
        not t2, t1
        sub t1, t1, t0
        and t1, t1, t2
        AGAIN

        /* -- callees, which a region takes in */
        FRAGMENT "a callee"
7772:   CHOOSE
        addi t0, t0, 1
        jal ra, 1f
        add t3, t3, t2
        AGAIN
1:      addi t1, t1, 1
        ld t2, 0(a3)
        addi t1, t1, 1
        ret

        FRAGMENT "a callee's callee"
7772:   CHOOSE
        addi t0, t0, 1
        jal ra, 1f
        add t3, t3, t2
        AGAIN
1:      mv s2, ra
        addi t1, t1, 1
        jal ra, 2f
        mv ra, s2
        addi t1, t1, 1
        ret
2:      addi t4, t4, 1
        sd t1, 0(a3)
        addi t4, t4, 1
        ret

        FRAGMENT "a callee by pointer"
        la s3, 1f
7772:   CHOOSE
        addi t0, t0, 1
        jalr ra, 0(s3)
        add t3, t3, t2
        AGAIN
1:      addi t1, t1, 1
        lw t2, 0(a3)
        addi t1, t1, 1
        ret

        FRAGMENT "a tail call"
7772:   CHOOSE
        jal ra, 1f
        add t3, t3, t2
        AGAIN
1:      addi t1, t1, 1
        j 2f
2:      addi t4, t4, 1
        ld t2, 0(a3)
        ret

        FRAGMENT "one callee of two"      /* called from two places: which one it was is in ra */
7772:   CHOOSE
        mv s2, a3
        mv a3, a0
        jal ra, 1f
        mv a3, s2
        jal ra, 1f
        add t3, t3, t2
        AGAIN
1:      addi t1, t1, 1
        ld t2, 0(a3)
        addi t1, t1, 1
        ret

        FRAGMENT "recursion"              /* a0: the stack's end; down until it is used up */
        mv sp, a0
7772:   addi sp, sp, -16
        sd a2, 8(sp)
        sd ra, 0(sp)
        beqz a2, 1f
        addi a2, a2, -1
        addi t0, t0, 1
        jal ra, 7772b
1:      ld ra, 0(sp)
        ld a4, 8(sp)
        addi sp, sp, 16
        bne sp, a0, 2f
        j done
2:      ret

        /* -- ways that part and meet: registers that are dirty on one of them only */
        FRAGMENT "dirty on one way"
7772:   CHOOSE
        andi t1, a2, 1
        beqz t1, 1f
        addi t0, t0, 1
        j 2f
1:      addi t2, t2, 1
2:      ld t3, 0(a3)
        add t4, t4, t3
        AGAIN

        FRAGMENT "saved on one way"       /* an access on one of two ways: only there are registers in order */
7772:   CHOOSE
        addi t0, t0, 1
        andi t1, a2, 1
        beqz t1, 1f
        ld t2, 0(a0)
        addi t5, t5, 1
1:      addi t4, t4, 1
        ld t3, 0(a3)
        add t2, t2, t3
        AGAIN

        FRAGMENT "an inner loop"
7772:   li t1, 5
        addi t0, t0, 1
1:      or t2, a2, t1
        addi t2, t2, -3
        CHOOSE a0, t2
        ld t3, 0(a3)
        add t4, t4, t3
        addi t1, t1, -1
        bnez t1, 1b
        addi t5, t5, 1
        AGAIN

        FRAGMENT "a switch"
        la s2, 4f
7772:   CHOOSE
        andi t1, a2, 3
        slli t1, t1, 3
        add t1, t1, s2
        jr t1
4:      addi t0, t0, 1
        j 5f
        addi t2, t2, 1
        j 5f
        addi t4, t4, 1
        j 5f
        addi t5, t5, 1
        j 5f
5:      ld t3, 0(a3)
        addi t4, t4, 7
        AGAIN

        FRAGMENT "after a call of the system"
7772:   CHOOSE
        li a7, 9999
        addi t0, t0, 1
        mv s2, a0
        ecall
        mv s3, a0
        mv a0, s2
        ld t2, 0(a3)
        add t3, t3, t2
        AGAIN

        FRAGMENT "between fences"
7772:   CHOOSE
        addi t0, t0, 1
        fence rw, rw
        sd t0, 0(a3)
        fence iorw, iorw
        addi t0, t0, 1
        fence.i
        AGAIN

        FRAGMENT "values that move"       /* registers swap places each turn */
7772:   CHOOSE
        mv t2, t0
        mv t0, t1
        mv t1, t3
        mv t3, t4
        mv t4, t2
        ld t5, 0(a3)
        AGAIN

        FRAGMENT "constants"              /* nothing of it need be computed before somebody looks */
7772:   CHOOSE
        li t0, 11
        li t1, -12
        lui t2, 0x12345
        auipc t3, 0
        add t4, t0, t1
        ld t5, 0(a3)
        li t0, 13
        li t1, 14
        li t2, 15
        AGAIN

        FRAGMENT "dead values"            /* overwritten before anybody reads them, but not before the fault */
7772:   CHOOSE
        mul t0, a2, a2
        divu t1, t0, t4
        sll t2, t1, a2
        ld t3, 0(a3)
        li t0, 1
        li t1, 2
        li t2, 3
        AGAIN

        /* -- floating point */
        FRAGMENT "flags before"           /* divided by zero before the access, invalid behind it */
        fcvt.d.w ft0, zero
7772:   CHOOSE
        fsflags zero
        fcvt.d.l ft1, a2
        fdiv.d ft1, ft4, ft1
        ld t2, 0(a3)
        fdiv.d ft2, ft0, ft0
        AGAIN

        FRAGMENT "flags behind"
        fcvt.d.w ft0, zero
7772:   CHOOSE
        ld t2, 0(a3)
        fdiv.d ft1, ft4, ft0
        fdiv.d ft2, ft0, ft0
        fadd.d ft3, ft4, ft5
        AGAIN

        FRAGMENT "a NaN"
        fcvt.d.w ft0, zero
7772:   CHOOSE
        fdiv.d ft1, ft0, ft0
        fmul.d ft2, ft1, ft4
        fsgnjn.d ft3, ft1, ft1
        fld ft5, 0(a3)
        fdiv.d ft1, ft4, ft4
        AGAIN

        FRAGMENT "a NaN that stays"       /* computed in one turn, looked at in another */
        fcvt.d.w ft0, zero
        fmv.d ft1, ft4
7772:   CHOOSE
        fsd ft5, 0(a3)
        fsub.d ft1, ft1, ft4
        fdiv.d ft1, ft1, ft0
        fmul.d ft1, ft1, ft0
        AGAIN

        FRAGMENT "a small NaN"
        fmv.w.x ft0, zero
7772:   CHOOSE
        fdiv.s ft1, ft0, ft0
        fadd.s ft2, ft1, ft1
        fcvt.s.w ft3, a2
        fsw ft3, 0(a3)
        fdiv.s ft1, ft0, ft3
        AGAIN

        FRAGMENT "sums"
7772:   CHOOSE
        fadd.d fa0, fa0, ft4
        fmul.d fa1, fa1, ft5
        fmadd.d fa2, fa3, fa4, fa0
        fld ft2, 0(a3)
        fadd.d fa0, fa0, ft2
        AGAIN

        FRAGMENT "rounding up"
        fsrmi 3
        li t1, 3
        fcvt.d.w ft0, t1
7772:   CHOOSE
        fdiv.d ft1, ft4, ft0
        fld ft2, 0(a3)
        fdiv.d ft1, ft5, ft0
        AGAIN

        FRAGMENT "rounding changes"
        li t1, 3
        fcvt.d.w ft0, t1
7772:   CHOOSE
        andi t0, a2, 3
        fsrm t0
        fdiv.d ft1, ft4, ft0
        fld ft2, 0(a3)
        fsrmi 4
        fdiv.d ft3, ft5, ft0
        AGAIN

        FRAGMENT "flags are read"
        fcvt.d.w ft0, zero
7772:   CHOOSE
        fsflags zero
        fdiv.d ft1, ft4, ft0
        frflags t0
        fsd ft1, 0(a3)
        fdiv.d ft1, ft0, ft0
        frflags t1
        AGAIN

        /* -- jumps */
        .macro JUMP name, insn
        FRAGMENT "\name"
        la a4, 1f
7772:   CHOOSE a4
        addi t0, t0, 1
        \insn
        addi t1, t1, 1
        .balign 4
1:      addi t4, t4, 1
        AGAIN
        .endm
        JUMP "jalr", "jalr ra, 0(a3)"
        JUMP "jr", "jr a3"
        JUMP "jr+2047", "addi a3, a3, -2047; jr 2047(a3)"
        JUMP "jalr itself", "jalr a3, 0(a3)"
        JUMP "ret", "mv ra, a3; ret"
        JUMP "jalr t0", "jalr t0, 0(a3)"
        .option rvc
        JUMP "c.jr", "c.jr a3"
        JUMP "c.jalr", "c.jalr a3"
        .option norvc

        FRAGMENT "a branch"               /* a0: `branch`, copied close to the end of a page */
        la ra, done
        jr a0
        .globl branch
branch: addi t0, t0, 1
        beqz a2, branch + 128
        addi a2, a2, -1
        bge a2, a5, branch
        ret
        /* A jump and a call whose target is known and cannot be executed. */
        FRAGMENT "a jump"
7772:   addi t0, t0, 1
        bnez a2, 1f
        j nowhere
1:      AGAIN
        FRAGMENT "a call"
7772:   addi t0, t0, 1
        bnez a2, 1f
        jal ra, nowhere
1:      AGAIN

        /* -- instructions that trap */
        .macro TRAP name, insn
        FRAGMENT "\name"
7772:   addi t0, t0, 1
        mul t1, t0, a2
        bnez a2, 1f
        \insn
1:      addi t2, t2, 1
        AGAIN
        .endm
        TRAP "ebreak", ".4byte 0x00100073"
        TRAP "c.ebreak", ".2byte 0x9002"
        TRAP "illegal", ".4byte 0x0000000b"
        TRAP "c.illegal", ".2byte 0x8000"
        TRAP "zeros", ".4byte 0"
        TRAP "all ones", ".4byte 0xffffffff"
        TRAP "mret", ".4byte 0x30200073"
        TRAP "csrr mstatus", ".4byte 0x300022f3"
        TRAP "csrw cycle", ".4byte 0xc0001073"
        TRAP "reserved rounding", "fsrmi 5; .4byte 0x02007053"

        /* -- calls of the system with bad pointers: errors, no faults */
        .macro CALL name, number, insns
        FRAGMENT "\name"
        mv s2, a0
        mv s3, a3
        mv s6, a1
7772:   mv a1, s6
        CHOOSE s2
        mv s4, a3
        addi t0, t0, 1
        li a7, \number
        mv s5, a2
        \insns
        ecall
        mv a2, s5
        add t1, t1, a0
        AGAIN
        .endm
        CALL "read", 63, "mv a0, s3; mv a1, s4; li a2, 8"
        CALL "read, straddling", 63, "mv a0, s3; mv a1, s4; li a2, 16"
        CALL "pread64", 67, "mv a0, s3; mv a1, s4; li a2, 8; li a3, 0"
        CALL "pwrite64", 68, "mv a0, s3; mv a1, s4; li a2, 8; li a3, 64"
        CALL "openat", 56, "li a0, -100; mv a1, s4; li a2, 0"
        CALL "rt_sigprocmask", 135, "li a0, 0; li a1, 0; mv a2, s4; li a3, 8"
        CALL "nanosleep", 101, "mv a0, s4; li a1, 0"
        CALL "clock_getres", 114, "li a0, 1; mv a1, s4"
        CALL "readv", 65, "mv a0, s3; mv a1, s4; li a2, 1"
        CALL "getrlimit", 163, "li a0, 16; mv a1, s4"
        CALL "getitimer", 102, "li a0, 0; mv a1, s4"
        CALL "futex", 98, "mv a0, s4; li a1, 128; li a2, 0; li a3, 0"

        /* -- loops whose state is the same in every turn, for faults that come from outside */
        .macro SPIN name, insns
        FRAGMENT "\name"
        li t0, 1
        \insns
        li t0, 2
        li t1, 3
        li a7, 0x1000012000     /* one turn is made: from now on all are alike */
        sd t1, 0(a7)
7772:   li t0, 1
        \insns
        li t0, 2
        li t1, 3
        bnez a2, 7772b
        j done
        .endm
        SPIN "spinning on ld", "ld t2, 0(a0)"
        SPIN "spinning on sd", "sd t0, 0(a0)"
        SPIN "spinning on fld", "fld ft2, 0(a0)"
        SPIN "spinning on an atomic", "amoadd.d t2, zero, (a0)"
        SPIN "spinning on two", "ld t2, 0(a0); li t0, 4; ld t3, 0(a1)"
        SPIN "spinning on a call", "jalr ra, 0(a0)"
        FRAGMENT "spinning elsewhere"
        li a7, 0x1000012000
        sd a7, 0(a7)
        jr a0

        FRAGMENT "endless"
7772:   j 7772b

        /* -- every address in a list at a0 is loaded from, stored to, swapped with, and jumped to; the handler goes on
           behind the access, for jumps at ra */
        FRAGMENT "probe"
7772:   ld a3, 0(a0)
        .globl probe_ld, probe_sb, probe_amo, probe_lr, probe_fsd, probe_jump
probe_ld: ld t2, 0(a3)
probe_sb: sb zero, 0(a3)
        andi a4, a3, -8
probe_amo: amoswap.d t2, zero, (a4)
probe_lr: lr.d t2, (a4)
probe_fsd: fsd ft2, 0(a3)
probe_jump: jalr ra, 0(a3)
        addi a0, a0, 8
        addi a2, a2, -1
        bnez a2, 7772b
        j done

fragments_end:
        LABEL "", fragments_end
        LABEL "nowhere", nowhere
        .pushsection .rodata.fragments, "a"
fragment_table_end:
        .popsection
        .pushsection .rodata.fragment_names, "a"
fragment_names_end:
        .popsection

        /* -- the way in and out */
        .balign 8
        .globl done
done:
        la t6, after
        .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
        sd x\n, 8*\n(t6)
        .endr
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        fsd f\n, 256+8*\n(t6)
        .endr
        csrrw t0, fcsr, zero
        sd t0, 512(t6)
        la t6, home
        ld ra, 0(t6)
        ld sp, 8(t6)
        ld gp, 16(t6)
        ld tp, 24(t6)
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        ld s\n, 32+8*\n(t6)
        fld fs\n, 128+8*\n(t6)
        .endr
        ret

        /* The handler of the breakpoint loads all registers: no jump leads to a fragment, so that no compiler takes it for
           a part of something else. */
        .globl enter
enter:
        la t6, home
        sd ra, 0(t6)
        sd sp, 8(t6)
        sd gp, 16(t6)
        sd tp, 24(t6)
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sd s\n, 32+8*\n(t6)
        fsd fs\n, 128+8*\n(t6)
        .endr
        .globl entering
entering: ebreak

        .globl on_signal
on_signal:  /* a handler whose C part wants its own gp and tp */
        la t0, home
        ld gp, 16(t0)
        ld tp, 24(t0)
        tail handle

        .section .rodata.nowhere, "a"   /* not executable */
        .balign 8
nowhere: .4byte 0x13, 0x13
