"""The sums over points that least squares needs, in one exact arithmetic; may import common, kernels and curves.

- ``loops``: the loops over points, plain Python that is compiled where there is much to do.
- ``scan``: accumulates range and sums of points, part by part and from several threads.
- ``moments``: the sums as whole numbers: merged, added up over processes, and stored in checkpoints.
- ``curve``: a curve and its standard error at any x, in the same arithmetic.
- ``second_pass``: the sums of a second pass over the points: products with the residuals of the first optimum.
- ``passes``: further passes over the points, and exact sums of numbers computed in them.
- ``older``: reads the sums in checkpoints of release 0.1.
- ``gpu``: the same sums on a CUDA device.
- ``gpu_kernels``: the same sums by one kernel of Triton.
- ``gpu_operations``: the same sums by operations of torch, where the kernel cannot be used.
"""
