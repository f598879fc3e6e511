"""The sums over points that least squares needs, in one exact arithmetic; may import common and curves.

- ``loops``: the loops over points, plain Python that is compiled where there is much to do.
- ``scan``: what the points are put into, part by part and from several threads: their range, their sums.
- ``moments``: the sums as whole numbers, how they merge, and how they travel between processes and into checkpoints.
- ``gpu``: the same sums on a CUDA device, by a kernel (``gpu_kernels``) or operations of torch (``gpu_operations``).
"""
