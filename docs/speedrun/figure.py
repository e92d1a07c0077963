"""Draws docs/speedrun/skill.png and prints the minutes to skill: our speedrun beside the published recipe.

Skill by games is read from the CSV files of the runs. Games become minutes by the rates of results/bench/train.json,
measured in one run on one machine, since the runs themselves had different ones: python docs/speedrun/figure.py
"""

import json
from pathlib import Path

import pandas as pd

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below

FOLDER = Path(__file__).parent
BENCH = json.loads((FOLDER.parents[1] / "results" / "bench" / "train.json").read_text())
TOKENS = 30.95
"""Tokens of a 6x6 game that carry loss, a mean over random play: its moves but the first."""
RATES = {
    "expected": BENCH["train.speedrun.tokens_per_s"] / TOKENS,
    "published": BENCH["train.speedrun.reference_tokens_per_s"] / TOKENS,
}
"""Games per second, ours compiled, the published recipe in fp32."""
NAMES = {"expected": "speedrun: 3 x 256, Muon, expected targets", "published": "published recipe: 4 x 128, AdamW, fp32"}
MARKS = (0.95, 0.97, 0.98)


def curve(name: str) -> pd.DataFrame:
    """Mean over seeds: minutes and val/top1 by games."""
    rows = pd.read_csv(FOLDER / f"{name}.csv").groupby("games", as_index=False)["val/top1"].mean()
    return rows.assign(minutes=rows.games / RATES[name] / 60)


def minutes_to(rows: pd.DataFrame, skill: float) -> float | None:
    """Where the curve first passes a skill, in between linearly; None where it never does."""
    passed = rows[rows["val/top1"] >= skill]
    if passed.empty:
        return None
    after = passed.iloc[0]
    before = rows[rows.games < after.games].iloc[-1]
    share = (skill - before["val/top1"]) / (after["val/top1"] - before["val/top1"])
    return float(before.minutes + share * (after.minutes - before.minutes))


def main() -> None:
    curves = {name: curve(name) for name in RATES}
    figure, (axis,) = canvas(1, 3.4, width=6.4)
    for color, (name, rows) in zip(LANGUAGE_COLORS, curves.items(), strict=False):
        axis.plot(rows.minutes, 1 - rows["val/top1"], color=color, label=NAMES[name])
    for skill in MARKS:
        axis.axhline(1 - skill, color=MUTED, linewidth=0.8, linestyle=":")
        where = axis.get_yaxis_transform()  # x: 0 .. 1 over the width
        axis.text(1, 1 - skill, f"{skill:.0%} legal", transform=where, ha="right", va="bottom", color=MUTED, fontsize=8)
    axis.set(
        xlabel="minutes on two cores", ylabel="share of illegal answers", yscale="log", xlim=(0, None), ylim=(0.008, 1)
    )
    legend_below(figure, [axis])
    figure.savefig(FOLDER / "skill.png", dpi=110, metadata={"Software": None})
    for skill in MARKS:
        ours, theirs = (minutes_to(rows, skill) for rows in curves.values())
        last = curves["published"].minutes.iloc[-1]
        if ours:
            shown = f"{theirs:.1f} minutes, {theirs / ours:.1f} times" if theirs else f"more than {last:.1f} minutes"
            print(f"{skill:.2f}: ours {ours:.1f} minutes, published {shown}")


if __name__ == "__main__":
    main()
