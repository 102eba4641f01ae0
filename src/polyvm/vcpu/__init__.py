"""The contract that every way to execute a guest shares: `Hypervisor`, `Vm`, `Vcpu`, and the family of exits.

`polyvm.accel` has who carries it out. Nothing here knows an accelerator, a guest or a device; it refuses to import
anything that takes time, since a VM's first exit waits for it.
"""
