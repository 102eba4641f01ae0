"""What the Arm manual defines for A64, by name: the tables of C4.1 for the Armv8.0-A base, then what extends it.

The measure for `isa.coverage`; nothing here decodes or means anything. Names that several tables share stand for what a
register does, general or vector; those of FEAT_FP16 are what base instructions do with halves. What nothing is there
of is in `manual_later`.
"""

from __future__ import annotations

from typing import Final

from polyvm.isa.aarch64.manual_later import LATER

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
    "Advanced SIMD load/store multiple structures": "st4 st1 st3 st2 ld4 ld1 ld3 ld2",
    "Advanced SIMD load/store multiple structures (post-indexed)": "st4 st1 st3 st2 ld4 ld1 ld3 ld2",
    "Advanced SIMD load/store single structure": "st1 st3 st2 st4 ld1 ld3 ld1r ld3r ld2 ld4 ld2r ld4r",
    "Advanced SIMD load/store single structure (post-indexed)": "st1 st3 st2 st4 ld1 ld3 ld1r ld3r ld2 ld4 ld2r ld4r",
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
    "Advanced SIMD scalar copy": "dup",
    "Advanced SIMD scalar two-register miscellaneous": """
        suqadd sqabs cmgt cmeq cmlt abs sqxtn fcvtns fcvtms fcvtas scvtf fcmgt fcmeq fcmlt fcvtps fcvtzs frecpe frecpx
        usqadd sqneg cmge cmle neg sqxtun uqxtn fcvtxn fcvtnu fcvtmu fcvtau ucvtf fcmge fcmle fcvtpu fcvtzu frsqrte
    """,
    "Advanced SIMD scalar pairwise": "addp fmaxnmp faddp fmaxp fminnmp fminp",
    "Advanced SIMD scalar three different": "sqdmlal sqdmlsl sqdmull",
    "Advanced SIMD scalar three same": """
        sqadd sqsub cmgt cmge sshl sqshl srshl sqrshl add cmtst sqdmulh fmulx fcmeq frecps frsqrts uqadd uqsub cmhi
        cmhs ushl uqshl urshl uqrshl sub cmeq sqrdmulh fcmge facge fabd fcmgt facgt
    """,
    "Advanced SIMD scalar shift by immediate": """
        sshr ssra srshr srsra shl sqshl sqshrn sqrshrn scvtf fcvtzs ushr usra urshr ursra sri sli sqshlu uqshl sqshrun
        sqrshrun uqshrn uqrshrn ucvtf fcvtzu
    """,
    "Advanced SIMD scalar x indexed element": "sqdmlal sqdmlsl sqdmull sqdmulh sqrdmulh fmla fmls fmul fmulx",
    "Advanced SIMD table lookup": "tbl tbx",
    "Advanced SIMD permute": "uzp1 trn1 zip1 uzp2 trn2 zip2",
    "Advanced SIMD extract": "ext",
    "Advanced SIMD copy": "dup smov umov ins",
    "Advanced SIMD two-register miscellaneous": """
        rev64 rev16 saddlp suqadd cls cnt sadalp sqabs cmgt cmeq cmlt abs xtn xtn2 sqxtn sqxtn2 fcvtn fcvtn2 fcvtl
        fcvtl2 frintn frintm fcvtns fcvtms fcvtas scvtf fcmgt fcmeq fcmlt fabs frintp frintz fcvtps fcvtzs urecpe
        frecpe rev32 uaddlp usqadd clz uadalp sqneg cmge cmle neg sqxtun sqxtun2 shll shll2 uqxtn uqxtn2 fcvtxn
        fcvtxn2 frinta frintx fcvtnu fcvtmu fcvtau ucvtf not rbit fcmge fcmle fneg frinti fcvtpu fcvtzu ursqrte
        frsqrte fsqrt
    """,
    "Advanced SIMD across lanes": "saddlv smaxv sminv addv uaddlv umaxv uminv fmaxnmv fmaxv fminnmv fminv",
    "Advanced SIMD three different": """
        saddl saddl2 saddw saddw2 ssubl ssubl2 ssubw ssubw2 addhn addhn2 sabal sabal2 subhn subhn2 sabdl sabdl2 smlal
        smlal2 sqdmlal sqdmlal2 smlsl smlsl2 sqdmlsl sqdmlsl2 smull smull2 sqdmull sqdmull2 pmull pmull2 uaddl uaddl2
        uaddw uaddw2 usubl usubl2 usubw usubw2 raddhn raddhn2 uabal uabal2 rsubhn rsubhn2 uabdl uabdl2 umlal umlal2
        umlsl umlsl2 umull umull2
    """,
    "Advanced SIMD three same": """
        shadd sqadd srhadd shsub sqsub cmgt cmge sshl sqshl srshl sqrshl smax smin sabd saba add cmtst mla mul smaxp
        sminp sqdmulh addp fmaxnm fmla fadd fmulx fcmeq fmax frecps and bic fminnm fmls fsub fmin frsqrts orr orn
        uhadd uqadd urhadd uhsub uqsub cmhi cmhs ushl uqshl urshl uqrshl umax umin uabd uaba sub cmeq mls pmul umaxp
        uminp sqrdmulh fmaxnmp faddp fmul fcmge facge fmaxp fdiv eor bsl fminnmp fabd fcmgt facgt fminp bit bif
    """,
    "Advanced SIMD modified immediate": "movi orr fmov mvni bic",
    "Advanced SIMD shift by immediate": """
        sshr ssra srshr srsra shl sqshl shrn shrn2 rshrn rshrn2 sqshrn sqshrn2 sqrshrn sqrshrn2 sshll sshll2 scvtf
        fcvtzs ushr usra urshr ursra sri sli sqshlu uqshl sqshrun sqshrun2 sqrshrun sqrshrun2 uqshrn uqshrn2 uqrshrn
        uqrshrn2 ushll ushll2 ucvtf fcvtzu
    """,
    "Advanced SIMD vector x indexed element": """
        smlal smlal2 sqdmlal sqdmlal2 smlsl smlsl2 sqdmlsl sqdmlsl2 mul smull smull2 sqdmull sqdmull2 sqdmulh sqrdmulh
        fmla fmls fmul mla umlal umlal2 mls umlsl umlsl2 umull umull2 fmulx
    """,
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
    "FEAT_DotProd": "sdot udot",
    "FEAT_I8MM": "usdot sudot smmla ummla usmmla",
    "FEAT_PMULL": "pmull pmull2",
    "FEAT_SHA3": "eor3 rax1 xar bcax",
    "FEAT_SHA512": "sha512h sha512h2 sha512su0 sha512su1",
    "FEAT_SM3, FEAT_SM4": "sm3partw1 sm3partw2 sm3ss1 sm3tt1a sm3tt1b sm3tt2a sm3tt2b sm4e sm4ekey",
    "FEAT_FP16": """
        fabd fabs facge facgt fadd faddp fcadd fccmp fccmpe fcmeq fcmge fcmgt fcmla fcmle fcmlt fcmp fcmpe fcsel fcvtas
        fcvtau fcvtms fcvtmu fcvtns fcvtnu fcvtps fcvtpu fcvtzs fcvtzu fdiv fmadd fmax fmaxnm fmaxnmp fmaxnmv fmaxp
        fmaxv fmin fminnm fminnmp fminnmv fminp fminv fmla fmls fmov fmsub fmul fmulx fneg fnmadd fnmsub fnmul frecpe
        frecps frecpx frinta frinti frintm frintn frintp frintx frintz frsqrte frsqrts fsqrt fsub scvtf ucvtf
    """,
    "FEAT_FHM": "fmlal fmlal2 fmlsl fmlsl2",
    "FEAT_BF16": "bfcvt bfcvtn bfcvtn2 bfdot bfmlalb bfmlalt bfmmla",
    "FEAT_PAuth, hints": """
        xpaclri pacia1716 pacib1716 autia1716 autib1716 paciaz paciasp pacibz pacibsp autiaz autiasp autibz autibsp
    """,
    "FEAT_PAuth": """
        pacia pacib pacda pacdb paciza pacizb pacdza pacdzb autia autib autda autdb autiza autizb autdza autdzb xpaci
        xpacd pacga braa braaz brab brabz blraa blraaz blrab blrabz retaa retab ldraa ldrab
    """,
    "FEAT_BTI": "bti",
    "FEAT_DGH": "dgh",
    "FEAT_SB": "sb",
    "FEAT_JSCVT": "fjcvtzs",
    "FEAT_FRINTTS": "frint32x frint32z frint64x frint64z",
    "FEAT_FCMA": "fcadd fcmla",
    "FEAT_FlagM": "cfinv rmif setf8 setf16",
    "FEAT_FlagM2": "axflag xaflag",
    "FEAT_LRCPC": "ldaprb ldaprh ldapr",
    "FEAT_LRCPC2": "ldapurb ldapursb ldapurh ldapursh ldapur ldapursw stlurb stlurh stlur",
    "FEAT_MTE": "addg subg irg gmi subp subps ldg stg st2g stzg stz2g stgp",
    **LATER,
}
