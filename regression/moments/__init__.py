"""The sums over points that least squares needs, in one exact arithmetic; may import common and curves.

- ``loops``: the loops over points, plain Python that is compiled where there is much to do.
- ``scan``: what the points are put into, part by part and from several threads: their range, their sums.
- ``moments``: the sums as whole numbers, how they merge, and how they travel between processes and into checkpoints.
- ``curve``: a curve and its standard error at any x, in the same arithmetic.
- ``second_pass``: what a second pass over the points sums: residuals of the optimum so far.
- ``older``: the sums that checkpoints of release 0.1 hold.
- ``gpu``: the same sums on a CUDA device.
- ``gpu_kernels``: … by a kernel.
- ``gpu_operations``: … by operations of torch, where there is no kernel.
"""
