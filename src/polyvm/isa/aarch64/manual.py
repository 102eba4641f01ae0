"""What the Arm manual defines for A64, by name: the tables of C4.1 for the Armv8.0-A base, then what extends it.

The measure for `isa.coverage`; nothing here decodes or means anything. Names that several tables share stand for what a
general or floating-point register does; what has the same name in SIMD is marked (simd). SVE and SME are not listed.
"""

from __future__ import annotations

from typing import Final

REVISION: Final = (
    "Arm Architecture Reference Manual for A-profile (DDI 0487), A64 of Armv8.0-A and its extensions"
)

_ORDERS = ("", "a", "l", "al")
_SIZES = ("", "b", "h")

# Table of C4.1 or extension -> mnemonics, in the manual's order.
EXTENSIONS: Final = {
    "Reserved": "udf",
    "PC-rel. addressing": "adr adrp",
    "Add/subtract (immediate)": "add adds sub subs",
    "Logical (immediate)": "and orr eor ands",
    "Move wide (immediate)": "movn movz movk",
    "Bitfield": "sbfm bfm ubfm",
    "Extract": "extr",
    "Conditional branch (immediate)": "b.cond",
    "Exception generation": "svc hvc smc brk hlt dcps1 dcps2 dcps3",
    "Hints": "hint nop yield wfe wfi sev sevl",
    "Barriers": "clrex dsb dmb isb",
    "PSTATE": "msr(immediate)",
    "System instructions": "sys sysl at dc ic tlbi",
    "System register move": "msr mrs",
    "Unconditional branch (register)": "br blr ret eret drps",
    "Unconditional branch (immediate)": "b bl",
    "Compare and branch (immediate)": "cbz cbnz",
    "Test and branch (immediate)": "tbz tbnz",
    "Load/store exclusive": """
        stxrb stlxrb ldxrb ldaxrb stxrh stlxrh ldxrh ldaxrh stxr stlxr ldxr ldaxr stxp stlxp ldxp ldaxp
    """,
    "Load/store ordered": "stlrb ldarb stlrh ldarh stlr ldar",
    "Load register (literal)": "ldr ldrsw prfm",
    "Load/store no-allocate pair (offset)": "stnp ldnp",
    "Load/store register pair (post-indexed)": "stp ldp ldpsw",
    "Load/store register pair (offset)": "stp ldp ldpsw",
    "Load/store register pair (pre-indexed)": "stp ldp ldpsw",
    "Load/store register (unscaled immediate)": """
        sturb ldurb ldursb sturh ldurh ldursh stur ldur ldursw prfum
    """,
    "Load/store register (immediate post-indexed)": "strb ldrb ldrsb strh ldrh ldrsh str ldr ldrsw",
    "Load/store register (unprivileged)": "sttrb ldtrb ldtrsb sttrh ldtrh ldtrsh sttr ldtr ldtrsw",
    "Load/store register (immediate pre-indexed)": "strb ldrb ldrsb strh ldrh ldrsh str ldr ldrsw",
    "Load/store register (register offset)": "strb ldrb ldrsb strh ldrh ldrsh str ldr ldrsw prfm",
    "Load/store register (unsigned immediate)": "strb ldrb ldrsb strh ldrh ldrsh str ldr ldrsw prfm",
    "Data-processing (2 source)": "udiv sdiv lslv lsrv asrv rorv",
    "Data-processing (1 source)": "rbit rev16 rev rev32 clz cls",
    "Logical (shifted register)": "and bic orr orn eor eon ands bics",
    "Add/subtract (shifted register)": "add adds sub subs",
    "Add/subtract (extended register)": "add adds sub subs",
    "Add/subtract (with carry)": "adc adcs sbc sbcs",
    "Conditional compare (register)": "ccmn ccmp",
    "Conditional compare (immediate)": "ccmn ccmp",
    "Conditional select": "csel csinc csinv csneg",
    "Data-processing (3 source)": "madd msub smaddl smsubl smulh umaddl umsubl umulh",
    "Loads and stores of SIMD structures": "ld1 ld2 ld3 ld4 st1 st2 st3 st4 ld1r ld2r ld3r ld4r",
    "Conversion between floating-point and fixed-point": "scvtf ucvtf fcvtzs fcvtzu",
    "Conversion between floating-point and integer": """
        fcvtns fcvtnu scvtf ucvtf fcvtas fcvtau fmov fcvtps fcvtpu fcvtms fcvtmu fcvtzs fcvtzu
    """,
    "Floating-point data-processing (1 source)": """
        fmov fabs fneg fsqrt fcvt frintn frintp frintm frintz frinta frintx frinti
    """,
    "Floating-point compare": "fcmp fcmpe",
    "Floating-point immediate": "fmov",
    "Floating-point conditional compare": "fccmp fccmpe",
    "Floating-point data-processing (2 source)": "fmul fdiv fadd fsub fmax fmin fmaxnm fminnm fnmul",
    "Floating-point conditional select": "fcsel",
    "Floating-point data-processing (3 source)": "fmadd fmsub fnmadd fnmsub",
    "Advanced SIMD": """
        abs(simd) add(simd) addhn addhn2 addp addv and(simd) bic(simd) bif bit bsl cls(simd) clz(simd) cmeq cmge cmgt
        cmhi cmhs cmle cmlt cmtst cnt(simd) dup eor(simd) ext fabd facge facgt faddp fcmeq fcmge fcmgt fcmle fcmlt
        fcvtl fcvtl2 fcvtn fcvtn2 fcvtxn fcvtxn2 fmaxnmp fmaxnmv fmaxp fmaxv fminnmp fminnmv fminp fminv fmla fmls
        fmulx frecpe frecps frecpx frsqrte frsqrts ins mla mls movi mul(simd) mvni neg(simd) not orn(simd) orr(simd)
        pmul pmull pmull2 raddhn raddhn2 rbit(simd) rev16(simd) rev32(simd) rev64 rshrn rshrn2 rsubhn rsubhn2 saba
        sabal sabal2 sabd sabdl sabdl2 sadalp saddl saddl2 saddlp saddlv saddw saddw2 shadd shl shll shll2 shrn
        shrn2 shsub sli smax(simd) smaxp smaxv smin(simd) sminp sminv smlal smlal2 smlsl smlsl2 smov smull smull2
        sqabs sqadd sqdmlal sqdmlal2 sqdmlsl sqdmlsl2 sqdmulh sqdmull sqdmull2 sqneg sqrdmulh sqrshl sqrshrn
        sqrshrn2 sqrshrun sqrshrun2 sqshl sqshlu sqshrn sqshrn2 sqshrun sqshrun2 sqsub sqxtn sqxtn2 sqxtun sqxtun2
        srhadd sri srshl srshr srsra sshl sshll sshll2 sshr ssra ssubl ssubl2 ssubw ssubw2 sub(simd) subhn subhn2
        suqadd tbl tbx trn1 trn2 uaba uabal uabal2 uabd uabdl uabdl2 uadalp uaddl uaddl2 uaddlp uaddlv uaddw uaddw2
        uhadd uhsub umax(simd) umaxp umaxv umin(simd) uminp uminv umlal umlal2 umlsl umlsl2 umov umull umull2 uqadd
        uqrshl uqrshrn uqrshrn2 uqshl uqshrn uqshrn2 uqsub uqxtn uqxtn2 urecpe urhadd urshl urshr ursqrte ursra ushl
        ushll ushll2 ushr usqadd usra usubl usubl2 usubw usubw2 uzp1 uzp2 xtn xtn2 zip1 zip2
    """,
    "FEAT_AES": "aese aesd aesmc aesimc",
    "FEAT_SHA1": "sha1c sha1p sha1m sha1h sha1su0 sha1su1",
    "FEAT_SHA256": "sha256h sha256h2 sha256su0 sha256su1",
    "FEAT_CRC32": "crc32b crc32h crc32w crc32x crc32cb crc32ch crc32cw crc32cx",
    "FEAT_LSE": " ".join(
        [
            *(f"cas{order}{size}" for size in _SIZES for order in _ORDERS),
            *(f"casp{order}" for order in _ORDERS),
            *(
                f"{name}{order}{size}"
                for name in [
                    "ldadd",
                    "ldclr",
                    "ldeor",
                    "ldset",
                    "ldsmax",
                    "ldsmin",
                    "ldumax",
                    "ldumin",
                    "swp",
                ]
                for size in _SIZES
                for order in _ORDERS
            ),
        ]
    ),
    "FEAT_LOR": "ldlarb ldlarh ldlar stllrb stllrh stllr",
    "FEAT_RDM": "sqrdmlah sqrdmlsh",
    "FEAT_SHA3": "eor3 rax1 xar bcax",
    "FEAT_SHA512": "sha512h sha512h2 sha512su0 sha512su1",
    "FEAT_SM3, FEAT_SM4": "sm3partw1 sm3partw2 sm3ss1 sm3tt1a sm3tt1b sm3tt2a sm3tt2b sm4e sm4ekey",
    "FEAT_DotProd, FEAT_I8MM": "sdot udot usdot sudot smmla ummla usmmla",
    "FEAT_FHM": "fmlal fmlal2 fmlsl fmlsl2",
    "FEAT_BF16": "bfcvt bfcvtn bfcvtn2 bfdot bfmlalb bfmlalt bfmmla",
    "FEAT_PAuth": """
        pacia pacib pacda pacdb paciza pacizb pacdza pacdzb autia autib autda autdb autiza autizb autdza autdzb xpaci
        xpacd pacga braa braaz brab brabz blraa blraaz blrab blrabz retaa retab ldraa ldrab
    """,
    "FEAT_JSCVT": "fjcvtzs",
    "FEAT_LRCPC, FEAT_LRCPC2": """
        ldaprb ldaprh ldapr ldapurb ldapursb ldapurh ldapursh ldapur ldapursw stlurb stlurh stlur
    """,
    "FEAT_FCMA": "fcadd fcmla",
    "FEAT_FlagM, FEAT_FlagM2": "cfinv rmif setf8 setf16 axflag xaflag",
    "FEAT_FRINTTS": "frint32x frint32z frint64x frint64z",
    "FEAT_SB": "sb",
    "FEAT_MTE": "addg subg irg gmi subp subps ldg stg st2g stzg stz2g stgp",
}
