"""Tables as pandas's DataFrames, where pandas is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpugraph.errors import MissingDependencyError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def data_frame(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a DataFrame; NaN where a number is null.

    Raises
    ------
    MissingDependencyError
        If pandas is not installed.
    """
    try:
        import pandas  # noqa: F401  (pyarrow's own error would not say what to do)
    except ImportError as error:
        raise MissingDependencyError(
            "to_pandas needs pandas: pip install pandas, or use to_arrow()."
        ) from error
    return table.to_pandas()
