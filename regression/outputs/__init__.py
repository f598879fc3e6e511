"""What a run prints, draws and leaves. May import training and what that rests on.

- ``fit_files``: report lines, files and TensorBoard entries of a fit.
- ``evaluation``: how well held-out points are described.
- ``predictions``: predictions.csv.
- ``series_files``: the table of the series and their report.
- ``progress_bar``: the progress bar.
- ``formula``: a curve in operations that every exporter knows.
- ``export``: the curve as an ONNX file or a program of torch.
"""
