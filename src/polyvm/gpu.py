"""GPU compute: one API over CUDA, OpenCL and this machine's processor, which runs CUDA kernels without any GPU.

from polyvm import gpu
with gpu.device("host").context() as context:
    kernel = context.program(source).compile().kernel("saxpy")
    gpu.launch(gpu.LaunchConfig(blocks, 256), kernel, 2.0, x, y, n)
    context.synchronize()
"""

from polyvm.compute.api import (
    Buffer,
    Context,
    Device,
    Event,
    Kernel,
    LaunchConfig,
    Module,
    Program,
    Stream,
    device,
    devices,
    launch,
)
from polyvm.compute.registry import Limits, Policy, set_policy, subscribe, unsubscribe

__all__ = [
    "devices",
    "device",
    "Device",
    "Context",
    "Stream",
    "Event",
    "Program",
    "Module",
    "Kernel",
    "Buffer",
    "LaunchConfig",
    "launch",
    "Policy",
    "Limits",
    "set_policy",
    "subscribe",
    "unsubscribe",
]
