"""What the Arm manual defines for A64 beyond what this specification has: later extensions, SVE and SME, by name.

Part of the measure in `manual`, apart from it because nothing here is done. Names that general or vector instructions
have too are followed by the extension.
"""

from __future__ import annotations

from typing import Final

_ORDERS = ("", "a", "l", "al")


def _each(stems: str, endings: tuple[str, ...] = _ORDERS) -> str:
    """Stems with endings, all orders of memory accesses unless others are given."""
    return " ".join(f"{stem}{ending}" for stem in stems.split() for ending in endings)


def _of(extension: str, names: str) -> str:
    """Names followed by an extension's."""
    return " ".join(f"{name}({extension})" for name in names.split())


# CPY and SET, forward or in any direction: which step, and the hints and privileges of reads and writes.
_STEPS = ("p", "m", "e")
_COPIES = tuple(f"{a}{b}" for a in ("", "wt", "rt", "t") for b in ("", "wn", "rn", "n"))
_SETS = ("", "t", "n", "tn")

LATER: Final = {
    "FEAT_MTE2": "ldgm stgm stzgm",
    "FEAT_HBC": "bc.cond",
    "FEAT_MOPS": " ".join(
        [
            *(f"cpy{way}{step}{kind}" for way in ("", "f") for step in _STEPS for kind in _COPIES),
            *(f"set{tag}{step}{kind}" for tag in ("", "g") for step in _STEPS for kind in _SETS),
        ]
    ),
    "FEAT_CSSC": "cnt(general) ctz smax(general) smin(general) umax(general) umin(general) abs(general)",
    "FEAT_LS64": "ld64b st64b st64bv st64bv0",
    "FEAT_WFxT": "wfet wfit",
    "FEAT_RPRFM": "rprfm",
    "FEAT_TME": "tstart tcommit ttest tcancel",
    "FEAT_SPECRES": "cfp cpp cosp dvp",
    "FEAT_BRBE, FEAT_GCS": "brb gcspopm gcspushm gcsss1 gcsss2 gcsstr gcssttr gcsb",
    "FEAT_RAS, FEAT_SPE, FEAT_TRF": "esb psb tsb",
    "FEAT_D128": "mrrs msrr sysp",
    "FEAT_LSE128": _each("ldclrp ldsetp swpp"),
    "FEAT_LRCPC3": "ldiapp stilp ldap1 stl1 ldapur(simd) stlur(simd) ldapr(writeback) stlr(writeback)",
    "FEAT_THE": _each("rcwcas rcwcasp rcwclr rcwclrp rcwset rcwsetp rcwswp rcwswpp")
    + " "
    + _each("rcwscas rcwscasp rcwsclr rcwsclrp rcwsset rcwssetp rcwsswp rcwsswpp"),
    "FEAT_LSUI": _each("ldtadd ldtclr ldtset swpt")
    + " cast casat caslt casalt caspt caspat casplt caspalt ldtp sttp ldtnp sttnp ldtxr ldatxr sttxr stltxr",
    "FEAT_LSFE": _each("ldfadd ldfmax ldfmaxnm ldfmin ldfminnm ldbfadd ldbfmax ldbfmaxnm ldbfmin ldbfminnm")
    + " "
    + _each("stfadd stfmax stfmaxnm stfmin stfminnm stbfadd stbfmax stbfmaxnm stbfmin stbfminnm", ("", "l")),
    "FEAT_CMPBR": "cbgt cbge cbhi cbhs cbeq cbne cblt cblo cbbgt cbbge cbbhi cbbhs cbbeq cbbne cbhgt cbhge cbhhi cbhhs"
    " cbheq cbhne",
    "FEAT_CPA": "addpt subpt maddpt msubpt",
    "FEAT_PAuth_LR": "paciasppc pacibsppc pacnbiasppc pacnbibsppc autiasppc autibsppc retaasppc retabsppc pacm"
    " pacia171615 pacib171615 autia171615 autib171615",
    "FEAT_FP8": "bf1cvtl bf1cvtl2 bf2cvtl bf2cvtl2 f1cvtl f1cvtl2 f2cvtl f2cvtl2 fcvtn(fp8) fscale(simd) fdot(simd)"
    " fmlalb(simd) fmlalt(simd) fmlallbb(simd) fmlallbt(simd) fmlalltb(simd) fmlalltt(simd) fmmla(simd)",
    "FEAT_FAMINMAX": "famax famin",
    "FEAT_LUT": "luti2(simd) luti4(simd)",
    "FEAT_SVE": _of(
        "sve",
        """
        abs add addpl addvl adr and ands andv asr asrd asrr bfcvt bfcvtnt bfdot bfmlalb bfmlalt bfmmla bic
        bics brka brkas brkb brkbs brkn brkns brkpa brkpas brkpb brkpbs clasta clastb cls clz cmpeq cmpge
        cmpgt cmphi cmphs cmple cmplo cmpls cmplt cmpne cnot cnt cntb cntd cnth cntp cntw compact cpy
        ctermeq ctermne decb decd dech decp decw dup dupm eor eors eorv ext fabd fabs facge facgt fadd fadda
        faddv fcadd fcmeq fcmge fcmgt fcmla fcmle fcmlt fcmne fcmuo fcpy fcvt fcvtzs fcvtzu fdiv fdivr fdup
        fexpa fmad fmax fmaxnm fmaxnmv fmaxv fmin fminnm fminnmv fminv fmla fmls fmmla fmsb fmul fmulx fneg
        fnmad fnmla fnmls fnmsb frecpe frecps frecpx frinta frinti frintm frintn frintp frintx frintz
        frsqrte frsqrts fscale fsqrt fsub fsubr ftmad ftsmul ftssel incb incd inch incp incw index insr
        lasta lastb ld1b ld1d ld1h ld1rb ld1rd ld1rh ld1rob ld1rod ld1roh ld1row ld1rqb ld1rqd ld1rqh ld1rqw
        ld1rsb ld1rsh ld1rsw ld1rw ld1sb ld1sh ld1sw ld1w ld2b ld2d ld2h ld2w ld3b ld3d ld3h ld3w ld4b ld4d
        ld4h ld4w ldff1b ldff1d ldff1h ldff1sb ldff1sh ldff1sw ldff1w ldnf1b ldnf1d ldnf1h ldnf1sb ldnf1sh
        ldnf1sw ldnf1w ldnt1b ldnt1d ldnt1h ldnt1w ldr lsl lslr lsr lsrr mad mla mls movprfx msb mul nand
        nands neg nor nors not orn orns orr orrs orv pfalse pfirst pnext prfb prfd prfh prfw ptest ptrue
        ptrues punpkhi punpklo rbit rdffr rdffrs rdvl rev revb revh revw sabd saddv scvtf sdiv sdivr sdot
        sel setffr smax smaxv smin sminv smmla smulh splice sqadd sqdecb sqdecd sqdech sqdecp sqdecw sqincb
        sqincd sqinch sqincp sqincw sqsub st1b st1d st1h st1w st2b st2d st2h st2w st3b st3d st3h st3w st4b
        st4d st4h st4w stnt1b stnt1d stnt1h stnt1w str sub subr sudot sunpkhi sunpklo sxtb sxth sxtw tbl
        trn1 trn2 uabd uaddv ucvtf udiv udivr udot umax umaxv umin uminv ummla umulh uqadd uqdecb uqdecd
        uqdech uqdecp uqdecw uqincb uqincd uqinch uqincp uqincw uqsub usdot usmmla uunpkhi uunpklo uxtb uxth
        uxtw uzp1 uzp2 whilele whilelo whilels whilelt wrffr zip1 zip2
        """,
    ),
    "FEAT_SVE2": _of(
        "sve",
        """
        adclb adclt addhnb addhnt addp aesd aese aesimc aesmc bcax bdep bext bgrp bsl bsl1n bsl2n cadd cdot
        cmla eor3 eorbt eortb faddp fcvtlt fcvtnt fcvtx fcvtxnt flogb fmaxnmp fmaxp fminnmp fminp fmlalb
        fmlalt fmlslb fmlslt histcnt histseg ldnt1sb ldnt1sh ldnt1sw match nbsl nmatch pmul pmullb pmullt
        raddhnb raddhnt rax1 rshrnb rshrnt rsubhnb rsubhnt saba sabalb sabalt sabdlb sabdlt sadalp saddlb
        saddlbt saddlt saddwb saddwt sbclb sbclt shadd shrnb shrnt shsub shsubr sli sm4e sm4ekey smaxp sminp
        smlalb smlalt smlslb smlslt smullb smullt sqabs sqcadd sqdmlalb sqdmlalbt sqdmlalt sqdmlslb
        sqdmlslbt sqdmlslt sqdmulh sqdmullb sqdmullt sqneg sqrdcmlah sqrdmlah sqrdmlsh sqrdmulh sqrshl
        sqrshlr sqrshrnb sqrshrnt sqrshrunb sqrshrunt sqshl sqshlr sqshlu sqshrnb sqshrnt sqshrunb sqshrunt
        sqsubr sqxtnb sqxtnt sqxtunb sqxtunt srhadd sri srshl srshlr srshr srsra sshllb sshllt ssra ssublb
        ssublbt ssublt ssubltb ssubwb ssubwt subhnb subhnt suqadd tbx uaba uabalb uabalt uabdlb uabdlt
        uadalp uaddlb uaddlt uaddwb uaddwt uhadd uhsub uhsubr umaxp uminp umlalb umlalt umlslb umlslt umullb
        umullt uqrshl uqrshlr uqrshrnb uqrshrnt uqshl uqshlr uqshrnb uqshrnt uqsubr uqxtnb uqxtnt urecpe
        urhadd urshl urshlr urshr ursqrte ursra ushllb ushllt usqadd usra usublb usublt usubwb usubwt
        whilege whilegt whilehi whilehs whilerw whilewr xar
        """,
    ),
    "FEAT_SVE2p1": _of(
        "sve",
        """
        addqv addsubp andqv bfmlslb bfmlslt dupq eorqv extq faddqv fclamp fmaxnmqv fmaxqv fminnmqv fminqv
        ld1q ld2q ld3q ld4q orqv pext pmov psel revd sclamp smaxqv sminqv sqcvtn sqcvtun sqrshrn sqrshrun
        st1q st2q st3q st4q tblq tbxq uclamp umaxqv uminqv uqcvtn uqrshrn uzpq1 uzpq2 zipq1 zipq2
        """,
    ),
    "FEAT_SME": _of(
        "sme",
        """
        addha addspl addsvl addva bfmopa bfmops fmopa fmops ld1b ld1d ld1h ld1q ld1w ldr mova rdsvl smopa
        smops smstart smstop st1b st1d st1h st1q st1w str sumopa sumops umopa umops usmopa usmops zero
        """,
    ),
    "FEAT_SME2": _of(
        "sme",
        """
        add bfclamp bfcvt bfcvtn bfdot bfmlal bfmlsl bfvdot bmopa bmops fadd fclamp fcvt fcvtl fcvtn fcvtzs
        fcvtzu fdot fmax fmaxnm fmin fminnm fmla fmlal fmls fmlsl frinta frintm frintn frintp fsub fvdot
        luti2 luti4 movt sclamp scvtf sdot sel smax smin smlal smlall smlsl smlsll sqcvt sqcvtn sqcvtu
        sqcvtun sqdmulh sqrshr sqrshrn sqrshru sqrshrun srshl sub sudot sumlall sunpk suvdot svdot uclamp
        ucvtf udot umax umin umlal umlall umlsl umlsll uqcvt uqcvtn uqrshr uqrshrn urshl usdot usmlall
        usvdot uunpk uvdot uzp zip
        """,
    ),
}
