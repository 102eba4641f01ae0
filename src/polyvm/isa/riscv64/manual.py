"""What the RISC-V manual defines, by name: every ratified unprivileged extension with its mnemonics.

The measure for `isa.coverage`; nothing here decodes or means anything. Forms that differ in a number only
(vector segment loads and stores, may-be-operations) stand as one name with N and M.
"""

from __future__ import annotations

import re
from typing import Final

REVISION: Final = "RISC-V Instruction Set Manual, Volume I, 20250508"

# Extension -> mnemonics, in the manual's order. An instruction may belong to several.
EXTENSIONS: Final = {
    "I": """
        lui auipc jal jalr beq bne blt bge bltu bgeu lb lh lw lbu lhu sb sh sw addi slti sltiu xori ori andi
        add sub sll slt sltu xor srl sra or and fence ecall ebreak lwu ld sd slli srli srai addiw slliw
        srliw sraiw addw subw sllw srlw sraw fence.tso
    """,
    "Zifencei": "fence.i",
    "Zicsr": "csrrw csrrs csrrc csrrwi csrrsi csrrci",
    "Zihintpause": "pause",
    "Zimop": "mop.r.N mop.rr.N",
    "Zicond": "czero.eqz czero.nez",
    "Zicbom": "cbo.clean cbo.flush cbo.inval",
    "Zicboz": "cbo.zero",
    "Zicfiss": "ssamoswap.w ssamoswap.d sspush sspopchk ssrdp c.sspush c.sspopchk",
    "M": "mul mulh mulhsu mulhu div divu rem remu mulw divw divuw remw remuw",
    "A": """
        lr.w sc.w amoswap.w amoadd.w amoxor.w amoand.w amoor.w amomin.w amomax.w amominu.w amomaxu.w lr.d
        sc.d amoswap.d amoadd.d amoxor.d amoand.d amoor.d amomin.d amomax.d amominu.d amomaxu.d
    """,
    "Zawrs": "wrs.nto wrs.sto",
    "Zacas": "amocas.w amocas.d amocas.q",
    "Zabha": """
        amoswap.b amoadd.b amoxor.b amoand.b amoor.b amomin.b amomax.b amominu.b amomaxu.b amoswap.h
        amoadd.h amoxor.h amoand.h amoor.h amomin.h amomax.h amominu.h amomaxu.h
    """,
    "F": """
        flw fsw fmadd.s fmsub.s fnmsub.s fnmadd.s fadd.s fsub.s fmul.s fdiv.s fsqrt.s fsgnj.s fsgnjn.s
        fsgnjx.s fmin.s fmax.s fcvt.w.s fcvt.wu.s fmv.x.w feq.s flt.s fle.s fclass.s fcvt.s.w fcvt.s.wu
        fmv.w.x fcvt.l.s fcvt.lu.s fcvt.s.l fcvt.s.lu
    """,
    "D": """
        fld fsd fmadd.d fmsub.d fnmsub.d fnmadd.d fadd.d fsub.d fmul.d fdiv.d fsqrt.d fsgnj.d fsgnjn.d
        fsgnjx.d fmin.d fmax.d fcvt.s.d fcvt.d.s feq.d flt.d fle.d fclass.d fcvt.w.d fcvt.wu.d fcvt.d.w
        fcvt.d.wu fcvt.l.d fcvt.lu.d fmv.x.d fcvt.d.l fcvt.d.lu fmv.d.x
    """,
    "Q": """
        flq fsq fmadd.q fmsub.q fnmsub.q fnmadd.q fadd.q fsub.q fmul.q fdiv.q fsqrt.q fsgnj.q fsgnjn.q
        fsgnjx.q fmin.q fmax.q fcvt.s.q fcvt.q.s fcvt.d.q fcvt.q.d feq.q flt.q fle.q fclass.q fcvt.w.q
        fcvt.wu.q fcvt.q.w fcvt.q.wu fcvt.l.q fcvt.lu.q fcvt.q.l fcvt.q.lu
    """,
    "Zfh": """
        flh fsh fcvt.s.h fcvt.h.s fmv.x.h fmv.h.x fcvt.d.h fcvt.h.d fmadd.h fmsub.h fnmsub.h fnmadd.h fadd.h
        fsub.h fmul.h fdiv.h fsqrt.h fsgnj.h fsgnjn.h fsgnjx.h fmin.h fmax.h feq.h flt.h fle.h fclass.h
        fcvt.w.h fcvt.wu.h fcvt.h.w fcvt.h.wu fcvt.l.h fcvt.lu.h fcvt.h.l fcvt.h.lu
    """,
    "Zfbfmin": "fcvt.bf16.s fcvt.s.bf16",
    "Zfa": """
        fli.s fminm.s fmaxm.s fround.s froundnx.s fleq.s fltq.s fli.d fminm.d fmaxm.d fround.d froundnx.d
        fcvtmod.w.d fleq.d fltq.d fli.h fminm.h fmaxm.h fround.h froundnx.h fleq.h fltq.h
    """,
    "C": """
        c.addi4spn c.lw c.sw c.nop c.addi c.li c.addi16sp c.lui c.andi c.sub c.xor c.or c.and c.j c.beqz
        c.bnez c.lwsp c.jr c.mv c.ebreak c.jalr c.add c.swsp c.ld c.sd c.addiw c.srli c.srai c.subw c.addw
        c.slli c.ldsp c.sdsp c.fld c.fsd c.fldsp c.fsdsp
    """,
    "Zcb": "c.lbu c.lhu c.lh c.sb c.sh c.zext.b c.sext.b c.zext.h c.sext.h c.not c.mul c.zext.w",
    "Zcmp": "cm.push cm.pop cm.popretz cm.popret cm.mvsa01 cm.mva01s",
    "Zcmt": "cm.jalt cm.jt",
    "Zcmop": "c.mop.N",
    "Zba": "sh1add sh2add sh3add add.uw sh1add.uw sh2add.uw sh3add.uw slli.uw",
    "Zbb": """
        andn orn xnor clz ctz cpop max maxu min minu sext.b sext.h rol ror orc.b clzw ctzw cpopw rolw rorw
        roriw rori rev8 zext.h
    """,
    "Zbc": "clmul clmulr clmulh",
    "Zbs": "bclr bext binv bset bclri bexti binvi bseti",
    "Zbkb": "rol ror andn orn xnor pack packh brev8 rolw rorw roriw rori packw rev8",
    "Zbkc": "clmul clmulh",
    "Zbkx": "xperm4 xperm8",
    "Zknd": "aes64dsm aes64ds aes64ks1i aes64im aes64ks2",
    "Zkne": "aes64esm aes64es aes64ks1i aes64ks2",
    "Zknh": """
        sha512sum0 sha512sum1 sha512sig0 sha512sig1 sha256sum0 sha256sum1 sha256sig0 sha256sig1
    """,
    "Zksed": "sm4ed sm4ks",
    "Zksh": "sm3p0 sm3p1",
    "V": """
        vsetivli vsetvli vsetvl vlm.v vsm.v vle8.v vle16.v vle32.v vle64.v vse8.v vse16.v vse32.v vse64.v
        vluxei8.v vluxei16.v vluxei32.v vluxei64.v vsuxei8.v vsuxei16.v vsuxei32.v vsuxei64.v vlse8.v
        vlse16.v vlse32.v vlse64.v vsse8.v vsse16.v vsse32.v vsse64.v vloxei8.v vloxei16.v vloxei32.v
        vloxei64.v vsoxei8.v vsoxei16.v vsoxei32.v vsoxei64.v vle8ff.v vle16ff.v vle32ff.v vle64ff.v
        vl1re8.v vl1re16.v vl1re32.v vl1re64.v vl2re8.v vl2re16.v vl2re32.v vl2re64.v vl4re8.v vl4re16.v
        vl4re32.v vl4re64.v vl8re8.v vl8re16.v vl8re32.v vl8re64.v vs1r.v vs2r.v vs4r.v vs8r.v vfadd.vf
        vfsub.vf vfmin.vf vfmax.vf vfsgnj.vf vfsgnjn.vf vfsgnjx.vf vfslide1up.vf vfslide1down.vf vfmv.s.f
        vfmerge.vfm vfmv.v.f vmfeq.vf vmfle.vf vmflt.vf vmfne.vf vmfgt.vf vmfge.vf vfdiv.vf vfrdiv.vf
        vfmul.vf vfrsub.vf vfmadd.vf vfnmadd.vf vfmsub.vf vfnmsub.vf vfmacc.vf vfnmacc.vf vfmsac.vf
        vfnmsac.vf vfwadd.vf vfwsub.vf vfwadd.wf vfwsub.wf vfwmul.vf vfwmacc.vf vfwnmacc.vf vfwmsac.vf
        vfwnmsac.vf vfadd.vv vfredusum.vs vfsub.vv vfredosum.vs vfmin.vv vfredmin.vs vfmax.vv vfredmax.vs
        vfsgnj.vv vfsgnjn.vv vfsgnjx.vv vfmv.f.s vmfeq.vv vmfle.vv vmflt.vv vmfne.vv vfdiv.vv vfmul.vv
        vfmadd.vv vfnmadd.vv vfmsub.vv vfnmsub.vv vfmacc.vv vfnmacc.vv vfmsac.vv vfnmsac.vv vfcvt.xu.f.v
        vfcvt.x.f.v vfcvt.f.xu.v vfcvt.f.x.v vfcvt.rtz.xu.f.v vfcvt.rtz.x.f.v vfwcvt.xu.f.v vfwcvt.x.f.v
        vfwcvt.f.xu.v vfwcvt.f.x.v vfwcvt.f.f.v vfwcvt.rtz.xu.f.v vfwcvt.rtz.x.f.v vfncvt.xu.f.w
        vfncvt.x.f.w vfncvt.f.xu.w vfncvt.f.x.w vfncvt.f.f.w vfncvt.rod.f.f.w vfncvt.rtz.xu.f.w
        vfncvt.rtz.x.f.w vfsqrt.v vfrsqrt7.v vfrec7.v vfclass.v vfwadd.vv vfwredusum.vs vfwsub.vv
        vfwredosum.vs vfwadd.wv vfwsub.wv vfwmul.vv vfwmacc.vv vfwnmacc.vv vfwmsac.vv vfwnmsac.vv vadd.vx
        vsub.vx vrsub.vx vminu.vx vmin.vx vmaxu.vx vmax.vx vand.vx vor.vx vxor.vx vrgather.vx vslideup.vx
        vslidedown.vx vadc.vxm vmadc.vxm vmadc.vx vsbc.vxm vmsbc.vxm vmsbc.vx vmerge.vxm vmv.v.x vmseq.vx
        vmsne.vx vmsltu.vx vmslt.vx vmsleu.vx vmsle.vx vmsgtu.vx vmsgt.vx vsaddu.vx vsadd.vx vssubu.vx
        vssub.vx vsll.vx vsmul.vx vsrl.vx vsra.vx vssrl.vx vssra.vx vnsrl.wx vnsra.wx vnclipu.wx vnclip.wx
        vadd.vv vsub.vv vminu.vv vmin.vv vmaxu.vv vmax.vv vand.vv vor.vv vxor.vv vrgather.vv vrgatherei16.vv
        vadc.vvm vmadc.vvm vmadc.vv vsbc.vvm vmsbc.vvm vmsbc.vv vmerge.vvm vmv.v.v vmseq.vv vmsne.vv
        vmsltu.vv vmslt.vv vmsleu.vv vmsle.vv vsaddu.vv vsadd.vv vssubu.vv vssub.vv vsll.vv vsmul.vv vsrl.vv
        vsra.vv vssrl.vv vssra.vv vnsrl.wv vnsra.wv vnclipu.wv vnclip.wv vwredsumu.vs vwredsum.vs vadd.vi
        vrsub.vi vand.vi vor.vi vxor.vi vrgather.vi vslideup.vi vslidedown.vi vadc.vim vmadc.vim vmadc.vi
        vmerge.vim vmv.v.i vmseq.vi vmsne.vi vmsleu.vi vmsle.vi vmsgtu.vi vmsgt.vi vsaddu.vi vsadd.vi
        vsll.vi vmv1r.v vmv2r.v vmv4r.v vmv8r.v vsrl.vi vsra.vi vssrl.vi vssra.vi vnsrl.wi vnsra.wi
        vnclipu.wi vnclip.wi vredsum.vs vredand.vs vredor.vs vredxor.vs vredminu.vs vredmin.vs vredmaxu.vs
        vredmax.vs vaaddu.vv vaadd.vv vasubu.vv vasub.vv vmv.x.s vzext.vf8 vsext.vf8 vzext.vf4 vsext.vf4
        vzext.vf2 vsext.vf2 vcompress.vm vmandn.mm vmand.mm vmor.mm vmxor.mm vmorn.mm vmnand.mm vmnor.mm
        vmxnor.mm vmsbf.m vmsof.m vmsif.m viota.m vid.v vcpop.m vfirst.m vdivu.vv vdiv.vv vremu.vv vrem.vv
        vmulhu.vv vmul.vv vmulhsu.vv vmulh.vv vmadd.vv vnmsub.vv vmacc.vv vnmsac.vv vwaddu.vv vwadd.vv
        vwsubu.vv vwsub.vv vwaddu.wv vwadd.wv vwsubu.wv vwsub.wv vwmulu.vv vwmulsu.vv vwmul.vv vwmaccu.vv
        vwmacc.vv vwmaccsu.vv vaaddu.vx vaadd.vx vasubu.vx vasub.vx vmv.s.x vslide1up.vx vslide1down.vx
        vdivu.vx vdiv.vx vremu.vx vrem.vx vmulhu.vx vmul.vx vmulhsu.vx vmulh.vx vmadd.vx vnmsub.vx vmacc.vx
        vnmsac.vx vwaddu.vx vwadd.vx vwsubu.vx vwsub.vx vwaddu.wx vwadd.wx vwsubu.wx vwsub.wx vwmulu.vx
        vwmulsu.vx vwmul.vx vwmaccu.vx vwmacc.vx vwmaccus.vx vwmaccsu.vx vlsegNeM.v vlsegNeMff.v
        vssegNeM.v vlssegNeM.v vsssegNeM.v vluxsegNeiM.v vloxsegNeiM.v vsuxsegNeiM.v vsoxsegNeiM.v
    """,
    "Zvbb": """
        vandn.vv vandn.vx vbrev.v vbrev8.v vrev8.v vclz.v vctz.v vcpop.v vrol.vv vrol.vx vror.vv vror.vx
        vror.vi vwsll.vv vwsll.vx vwsll.vi
    """,
    "Zvbc": "vclmul.vv vclmul.vx vclmulh.vv vclmulh.vx",
    "Zvfbfmin": "vfncvtbf16.f.f.w vfwcvtbf16.f.f.v",
    "Zvfbfwma": "vfwmaccbf16.vv vfwmaccbf16.vf",
    "Zvkg": "vgmul.vv vghsh.vv",
    "Zvkned": """
        vaesdf.vv vaesdf.vs vaesdm.vv vaesdm.vs vaesef.vv vaesef.vs vaesem.vv vaesem.vs vaesz.vs vaeskf1.vi
        vaeskf2.vi
    """,
    "Zvknh": "vsha2ms.vv vsha2ch.vv vsha2cl.vv",
    "Zvksed": "vsm4k.vi vsm4r.vv vsm4r.vs",
    "Zvksh": "vsm3c.vi vsm3me.vv",
}


def listed(name: str) -> str:
    """What an instruction is called above: segments of all numbers of fields, N, and of all widths, M, are one."""
    return re.sub(r"seg\d(ei?)\d+", r"segN\1M", name)
