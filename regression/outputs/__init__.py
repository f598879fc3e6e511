"""What a run prints, draws and leaves. May import training and what that rests on.

- ``report_lines``: lines on the terminal during a fit and at its end.
- ``figure_options``: options of figures, and the figures of a run drawn with them.
- ``fit_files``: files and TensorBoard entries of a fit.
- ``tensorboard``: the TensorBoard loggers of a run.
- ``table_file``: tables that a run writes: their names, schemas and writers, and the table of predictions.
- ``evaluation``: logs and prints how well a fit describes the points of validate and test.
- ``goodness``: how well a curve describes points that it was not fitted to.
- ``predictions``: predictions.csv.
- ``residual_file``: residuals.csv, and the tests of the residuals of a run.
- ``inverse_file``: x from y, in the place of predictions.
- ``series_files``: the table and the report of a fit of series.
- ``progress_bar``: the progress bar.
- ``export``: the curve as an ONNX file or a program of torch.
"""
