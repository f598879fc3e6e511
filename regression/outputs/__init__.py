"""What a run prints, draws and leaves. May import training and what that rests on.

- ``report_lines``: lines on the terminal during a fit and at its end.
- ``figure_options``: how figures look, and the files of those drawn so.
- ``fit_files``: files and TensorBoard entries of a fit.
- ``tensorboard``: the TensorBoard loggers of a run.
- ``table_file``: how a table may be called, and its writer.
- ``evaluation``: held-out points, their scores logged and printed.
- ``goodness``: how well a curve describes points it was not fitted to.
- ``predictions``: predictions.csv.
- ``series_files``: the table of the series and their report.
- ``progress_bar``: the progress bar.
- ``export``: the curve as an ONNX file or a program of torch.
"""
