"""Checks the numbers of a stored fit, because results that are computed from wrong numbers would be wrong."""

from collections.abc import Mapping
from typing import Any

from regression.common.rules import (
    BOOLEAN,
    NOT_NEGATIVE,
    NUMBER,
    POSITIVE,
    PROBABILITY,
    RANGE,
    TEXT,
    Rule,
    list_of,
    or_null,
    require_stored,
    whole,
)

__all__ = ["require_stored_fit"]

PAIR = list_of(NUMBER, 2)  # a double-double number
KNOWN = or_null(NUMBER)  # null stands for a number beyond float64
CANDIDATE = Rule("a degree with its numbers", lambda row: isinstance(row, dict) and _is_candidate(row))
BY_NAME = Rule("numbers by name", lambda found: isinstance(found, dict) and all(map(NUMBER.holds, found.values())))
FIT = {
    **dict.fromkeys(("model", "basis", "solver", "loss_name", "cov_type"), TEXT),
    **dict.fromkeys(("optimizer", "criterion", "robust", "source"), or_null(TEXT)),
    "axes": list_of(TEXT, 2),
    **dict.fromkeys(("absolute_sigma", "weighted", "errors_in_x"), BOOLEAN),
    **dict.fromkeys(("degree", "updates", "omitted", "df_resid", "rank"), whole()),
    **dict.fromkeys(("loss", "val_loss", "ess", "rsquared", "aic", "aicc", "bic"), KNOWN),
    **dict.fromkeys(("sigma", "ssr", "condition_number", "opt_error_se", "scale"), or_null(NOT_NEGATIVE)),
    **dict.fromkeys(("names", "notes"), list_of(TEXT)),
    "nobs": whole(1),
    "level": PROBABILITY,
    "domain": or_null(RANGE),
    "converged": or_null(BOOLEAN),
    "x_range": RANGE,
    "degree_table": list_of(CANDIDATE),
    "fixed": BY_NAME,
    "through": list_of(PAIR),
    "residual_tests": or_null(Rule("tests by name", lambda found: isinstance(found, dict))),
}


def require_stored_fit(content: Mapping[str, Any]) -> None:
    """Refuse the content of a ``fit.json`` with a missing or impossible value.

    Raises:
        ValueError: If there is such a value; the message names the first.
    """
    require_stored(content, FIT)
    expected, got = content["nobs"] - content["rank"], content["df_resid"]
    if got != expected:
        raise ValueError(f"df_resid must be nobs - rank = {expected}, got {got}")
    count = len(content["names"])
    lists = {
        "params": list_of(KNOWN, count),
        "bse": or_null(list_of(or_null(NOT_NEGATIVE), count)),
        "cov_params": or_null(list_of(list_of(KNOWN, count), count)),
    }
    require_stored(content, lists)
    require_stored(content["curve"], _curve_rules(content["curve"], content["degree"] + 1), "curve.")


def _is_candidate(row: Mapping[str, Any]) -> bool:
    return whole().holds(row.get("degree")) and all(map(KNOWN.holds, row.values()))


def _curve_rules(curve: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the rules of a curve with ``count`` coefficients, in the form of this release or of 0.1."""
    if "scale" in curve:
        return {
            "center": NUMBER, "scale": POSITIVE, "coefficients": list_of(NUMBER, count),
            "cov": or_null(list_of(list_of(NUMBER, count), count)),
        }  # fmt: skip
    return {
        "center": NUMBER,
        "exponent": whole(-1022, 1023),  # 2 to this power and its reciprocal are float64 numbers
        "stretch": POSITIVE,
        "y_exponent": whole(-2200, 2200),
        "coefficients": list_of(PAIR, count),
        "error_functions": or_null(list_of(list_of(PAIR, count))),
    }
