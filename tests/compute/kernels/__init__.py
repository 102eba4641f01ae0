"""CUDA kernels written for polyvm, and what NumPy says that they give."""
