"""The vector instructions, in the order of the manual."""

from __future__ import annotations

from polyvm.isa.riscv64 import vconfig, vestimate, vfixed, vfloat, vinteger, vmask, vmemory, vpermute, vreduce

FAMILIES = (vconfig, vmemory, vinteger, vfixed, vfloat, vestimate, vreduce, vmask, vpermute)
