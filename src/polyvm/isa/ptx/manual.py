"""Every instruction of the PTX ISA, by the manual's sections: what coverage is measured against.

Source: PTX ISA 9.0, chapter 9. An instruction counts as partial where PARTIAL says what of it is refused.
"""

from __future__ import annotations

REVISION = "PTX ISA 9.0"

EXTENSIONS = {
    "Integer arithmetic": (
        "add sub mul mad mul24 mad24 sad div rem abs neg min max popc clz bfind fns brev bfe bfi szext bmsk dp4a dp2a"
    ),
    "Extended-precision integer arithmetic": "add.cc addc sub.cc subc mad.cc madc",
    "Floating point": (
        "testp copysign add.f sub.f mul.f fma mad.f div.f abs.f neg.f min.f max.f rcp rcp.approx.ftz.f64 sqrt rsqrt "
        "rsqrt.approx.ftz.f64 sin cos lg2 ex2 tanh"
    ),
    "Half precision": (
        "add.f16 sub.f16 mul.f16 fma.f16 neg.f16 abs.f16 min.f16 max.f16 tanh.f16 ex2.f16 add.mixed sub.mixed fma.mixed"
    ),
    "Comparison and selection": "set setp selp slct set.f16 setp.f16",
    "Logic and shifts": "and or xor not cnot lop3 shf shl shr",
    "Data movement and conversion": (
        "mov shfl shfl.sync prmt ld ld.global.nc ldu st st.async st.bulk multimem.ld_reduce multimem.st multimem.red "
        "prefetch prefetchu applypriority discard createpolicy isspacep cvta cvt cvt.pack mapa getctarank "
        "cp.async cp.async.commit_group cp.async.wait_group cp.async.bulk cp.reduce.async.bulk cp.async.bulk.prefetch "
        "cp.async.bulk.tensor cp.reduce.async.bulk.tensor cp.async.bulk.prefetch.tensor cp.async.bulk.commit_group "
        "cp.async.bulk.wait_group tensormap.replace"
    ),
    "Textures": "tex tld4 txq istypep",
    "Surfaces": "suld sust sured suq",
    "Control flow": "bra brx.idx call ret exit",
    "Synchronisation": (
        "bar barrier bar.warp.sync barrier.cluster membar fence atom red red.async vote vote.sync match.sync "
        "activemask redux.sync griddepcontrol elect.sync mbarrier.init mbarrier.inval mbarrier.expect_tx "
        "mbarrier.complete_tx mbarrier.arrive mbarrier.arrive_drop cp.async.mbarrier.arrive "
        "mbarrier.test_wait mbarrier.try_wait "
        "mbarrier.pending_count tensormap.cp_fenceproxy clusterlaunchcontrol.try_cancel "
        "clusterlaunchcontrol.query_cancel"
    ),
    "Warp-level matrices": (
        "wmma.load wmma.store wmma.mma mma ldmatrix stmatrix movmatrix mma.sp wgmma.mma_async wgmma.fence "
        "wgmma.commit_group wgmma.wait_group"
    ),
    "Tensor core, 5th generation": (
        "tcgen05.alloc tcgen05.dealloc tcgen05.relinquish_alloc_permit tcgen05.ld tcgen05.st tcgen05.wait tcgen05.cp "
        "tcgen05.shift tcgen05.mma tcgen05.mma.sp tcgen05.mma.ws tcgen05.mma.ws.sp tcgen05.fence tcgen05.commit"
    ),
    "Stack": "stacksave stackrestore alloca",
    "Video": (
        "vadd vsub vabsdiff vmin vmax vshl vshr vmad vset vadd2 vsub2 vavrg2 vabsdiff2 vmin2 vmax2 vset2 vadd4 vsub4 "
        "vavrg4 vabsdiff4 vmin4 vmax4 vset4"
    ),
    "Miscellaneous": "brkpt nanosleep pmevent trap setmaxnreg",
}

PARTIAL = {
    "mul.f": "directed rounding of f64", "fma": "directed rounding of f64", "mad.f": "directed rounding of f64",
    "div.f": "directed rounding of f64", "rcp": "directed rounding of f64", "sqrt": "directed rounding of f64",
    "setp.f16": "f16x2 with two predicates", "cvt": "8-bit and smaller floats, tf32", "min.f": "three operands",
    "max.f": "three operands", "atom": "b128, f16, bf16 and vectors", "red": "f16, bf16 and vectors",
    "bar": "a part of a block, bar.arrive", "barrier": "a part of a block, barrier.arrive",
    "cp.async": "copies that fill up with zeros", "ld": "b128", "st": "b128", "fence": "proxies and mbarrier_init",
    "add": "u16x2 saturation",
}  # fmt: skip
"""What of an instruction is refused."""

REFUSED = {
    "shfl",
    "add.mixed",
    "sub.mixed",
    "fma.mixed",
    "st.async",
    "st.bulk",
    "multimem.ld_reduce",
    "multimem.st",
    "multimem.red",
    "createpolicy",
    "cvt.pack",
    "mapa",
    "getctarank",
    "tensormap.replace",
    "istypep",
    "barrier.cluster",
    "red.async",
    "stacksave",
    "stackrestore",
    "alloca",
    "cp.async.bulk",
    "cp.reduce.async.bulk",
    "cp.async.bulk.prefetch",
    "cp.async.bulk.tensor",
    "cp.reduce.async.bulk.tensor",
    "cp.async.bulk.prefetch.tensor",
    "cp.async.bulk.commit_group",
    "cp.async.bulk.wait_group",
    "cp.async.mbarrier.arrive",
    "tensormap.cp_fenceproxy",
    "clusterlaunchcontrol.try_cancel",
    "clusterlaunchcontrol.query_cancel",
    "mma.sp",
}
"""Refused although the table has something of the same name."""


def state(name: str) -> str:
    """done, partial or refused: as the manual's name of an instruction stands in the table."""
    from polyvm.isa.ptx import load

    forms = load()
    base = name.partition(".")[0]
    if name in REFUSED or base not in forms:
        return "refused"
    return "partial" if name in PARTIAL else "done"
