"""GPU compute: one API over CUDA, ROCm, OpenCL and the host itself."""
