"""Numbers as a reader wants them, and a table of one fact per line."""

from collections.abc import Mapping, Sequence


def table(rows: Mapping[str, str]) -> str:
    """One fact per line, aligned."""
    width = max(map(len, rows)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows.items())


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of as many words each, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def counted(number: int, noun: str) -> str:
    """1 game, 2,000 games."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def short(number: float) -> str:
    """12,345 as it is; from 100,000 on 123 k, 12.3 M, 4.57 G, 8 T; beyond 1.23e+15."""
    if number < 99_999.5:
        return f"{number:,.0f}"
    for unit, name in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        if number < 999.5 * unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:.2e}"


def size(bytes: float) -> str:
    """850 kB, 12.3 MB, 4.57 GB."""
    for unit, name in ((1e3, "kB"), (1e6, "MB"), (1e9, "GB")):
        if bytes < 999.5 * unit:
            return f"{bytes / unit:.3g} {name}"
    return f"{bytes / 1e12:,.3g} TB"


def minutes(seconds: float) -> str:
    """Minutes, and hours or days where they say more."""
    value = seconds / 60
    shown = f"{value:.2f}" if value < 0.995 else f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"
    if value < 120:
        return shown
    return f"{shown} ({value / 60:.1f} hours)" if value < 2880 else f"{shown} ({value / 1440:,.1f} days)"
