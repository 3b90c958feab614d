"""SeriesWindow: what a window of a series is, for a network that forecasts what comes after it."""

from dataclasses import dataclass

from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesWindow:
    """Which columns of a table are read, and how many rows. It is stored with the network."""

    columns: tuple[str, ...]
    """Numbers that are read in each step."""
    targets: tuple[str, ...]
    """Those of them that are forecast."""
    window: int
    """Steps that are read."""
    horizon: int
    """Steps after them that are forecast."""
    series: str = ""
    """Column that names the series of a row; empty if there is one series."""
    time: str = ""
    """Column of the time, which increases in each series; empty if rows are in order."""

    def __post_init__(self) -> None:
        if self.window < 1 or not set(self.targets) <= set(self.columns):
            raise ConfigError(
                f"window: {self.window} steps of {', '.join(self.columns)}, which do not hold "
                f"{', '.join(self.targets)}. Use 1 step or more, and targets among the columns."
            )

    @property
    def places(self) -> tuple[int, ...]:
        """The place of each target among the columns."""
        return tuple(map(self.columns.index, self.targets))

    def describe(self) -> str:
        """`24 steps of clock, load; the next 12 of load`."""
        return (
            f"{self.window:,} steps of {', '.join(self.columns)}; the next {self.horizon:,} of "
            f"{', '.join(self.targets)}"
        )
