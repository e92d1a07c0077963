"""The page of scripts/corpus.py: what a corpus is, to look at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mothello.othello.board import Board
from mothello.othello.notation import parse_move, svg_board
from mothello.report import corpus_figures
from mothello.report.html import Markup, Text, figure, join, page, paragraphs, table, tag, text
from mothello.report.style import LANGUAGE_COLOURS, lighter

_KINDS = {
    "exact": "exact: every game of the board is enumerated",
    "sampled": "from a sample, its 95% interval shaded",
    "bound": "a bound (dotted): how recorded games were chosen is unknown, the entropy is at most log(legal moves)",
}


def _labels(numbers: Mapping[str, Any]) -> dict[str, str]:
    against = "uniform random play" if numbers["against"] == "uniform" else numbers["against"]
    return {name: f"held against: {against}" if name == "against" else name for name in numbers["corpora"]}


def summary_section(numbers: Mapping[str, Any]) -> Markup:
    """One row per corpus."""
    rows = []
    for name, row in numbers["corpora"].items():
        away = numbers["divergence"].get(name)
        passes = sum(row["passes"][1:]) / max(1, sum(row["passes"]))
        rows.append(
            [
                _labels(numbers)[name],
                f"{row['games']:,} of {row['size']:,}",
                f"{row['mean_length']:.2f}",
                f"{passes:.1%}",
                f"{row['floor']['mean']:.3f}{'' if row['floor']['kind'] != 'bound' else ' at most'}",
                f"{away['common']:.0%}" if away else None,
                f"{away['moves']:.4f} ({row['halves'][0]:.4f})" if away and away["common"] else None,
                f"{away['boards']:.4f} ({row['halves'][1]:.4f})" if away and away["common"] else None,
            ]
        )
    head = [
        "corpus",
        "games looked at",
        "mean plies",
        "with a pass",
        "floor, nats a move",
        "common plies",
        "moves",
        "boards",
    ]
    caption = (
        "Moves, boards: Jensen-Shannon divergence from the last row in nats (0 to 0.693), averaged over the plies that "
        "carry loss in both (common plies: their share); in brackets that of the corpus' own two halves, which is what "
        "chance alone gives."
    )
    shares = ", ".join(f"{name} {weight:.3g}" for name, weight in numbers["languages"].items())
    said = f"Languages and their shares: {shares}. Games are given to languages: {numbers['pairing']}."
    return join([table(head, rows, caption=caption), tag("p", said)])


def curve_section(numbers: Mapping[str, Any]) -> Markup:
    """Lengths, passes, legal moves, floor."""
    corpora, labels = numbers["corpora"], _labels(numbers)
    kinds = {row["floor"]["kind"] for row in corpora.values()}
    floors = f"The floor is {'; '.join(_KINDS[kind] for kind in sorted(kinds))}."
    return join(
        [
            figure(
                corpus_figures.lengths_and_passes(corpora, labels),
                "Shares of games; lengths on a logarithmic scale.",
                "Histograms of game lengths and of passes",
            ),
            figure(corpus_figures.by_ply(corpora, labels), floors, "Legal moves, floor and passes by ply"),
        ]
    )


def opening_section(numbers: Mapping[str, Any]) -> Markup:
    """Opening trees and occupied squares."""
    parts: list[Text] = []
    size = int(numbers["board"][0])
    for name, row in numbers["corpora"].items():
        parts.append(tag("h3", _labels(numbers)[name]))
        tree = corpus_figures.opening_tree(row["openings"], row["games"])
        parts.append(figure(tree, "Openings as nested bars, as wide as their share of the games.", f"Openings, {name}"))
        drawn = corpus_figures.occupancy(row, size)
        parts.append(figure(drawn, "Share of games with a disc on the square.", f"Occupied squares, {name}"))
    return join(parts)


def divergence_section(numbers: Mapping[str, Any]) -> Markup:
    """Curves of the divergence by ply."""
    drawn = corpus_figures.divergences(numbers["divergence"], numbers["corpora"])
    against = _labels(numbers)["against"]
    caption = f"Jensen-Shannon divergence by ply, {against}. Boards: white, empty or black, averaged over squares."
    return figure(drawn, caption, "Divergence by ply")


def overlap_section(numbers: Mapping[str, Any]) -> Markup:
    """What the training games share with the games that are measured on."""
    if not numbers["overlap"]:
        return Markup("")
    rows = [
        [
            f"{row['one']} and {row['other']}",
            f"{row['n'][0]:,} and {row['n'][1]:,}",
            f"{row['distinct'][0]:,} and {row['distinct'][1]:,}",
            f"{row['games']:,}",
            f"{row['orbits']:,}",
            f"{row['share']:.2%}",
        ]
        for row in numbers["overlap"]
    ]
    head = ["splits", "games", "different", "in both", "up to symmetry", "share of the first"]
    return table(head, rows, caption="Counted over the first games of each split; mirror images count up to symmetry.")


def _chip(tokens: list[int], shared: set[int], colour: str) -> Markup:
    """A move as its token ids; ids that several languages write are marked."""
    parts = []
    for token in tokens:
        style = f"background:{lighter(colour, 0.82)};border-radius:3px;padding:0 3px;"
        style += "outline:2px solid #d1495b;font-weight:700;" if token in shared else ""
        parts.append(tag("span", str(token), style=style))
    return join(parts, "&#8202;")


def language_section(numbers: Mapping[str, Any]) -> Markup:
    """The same game in every language, anchors marked, and its boards."""
    game, board = numbers["game"], Board.of(int(numbers["board"][0]))
    shared = set(game["shared"])
    rows = []
    for index, (name, words) in enumerate(game["words"].items()):
        colour = LANGUAGE_COLOURS[index % len(LANGUAGE_COLOURS)]
        rows.append([name, *(_chip(tokens, shared, colour) for tokens in words)])
    said = "Each column is one move, each row a language: the token ids that write it. "
    said += "Outlined in red: ids that several languages write (anchors)." if shared else "No language shares a token."
    return join([tag("p", said), table(["", *game["moves"]], rows), tag("p", "Its boards:"), _boards(game, board)])


def _boards(game: Mapping[str, Any], board: Board) -> Markup:
    last = len(game["boards"]) - 1
    step = 1 if last <= 8 else 4
    plies = [*range(min(4, last)), *range(4, last, step), last] if last > 8 else range(last + 1)
    drawings = []
    for ply in dict.fromkeys(plies):
        square = board.moves[parse_move(game["moves"][ply - 1], board)] if ply else None
        drawing = Markup(svg_board(game["boards"][ply], board, last=square, cell=20))
        caption = f"after ply {ply}: {game['moves'][ply - 1]}" if ply else "start"
        drawings.append(tag("figure", drawing, tag("figcaption", text(caption))))
    return tag("div", *drawings, class_="boards")


def write_corpus_page(numbers: Mapping[str, Any], out: Path) -> Path:
    """Write OUT/index.html; returns its path. The page asks nothing of the network."""
    sections = [
        ("What it is", summary_section(numbers)),
        ("Length, choice and floor", curve_section(numbers)),
        ("Openings and squares", opening_section(numbers)),
        ("How it differs", divergence_section(numbers)),
        ("What splits share", overlap_section(numbers)),
        ("The same game in every language", language_section(numbers)),
        ("Numbers", paragraphs(["Everything drawn here stands in numbers.json beside this page."])),
    ]
    question = f"{numbers['board']}, {len(numbers['languages'])} languages"
    path = out / "index.html"
    path.write_text(page("A corpus", question, [part for part in sections if part[1]]), encoding="utf-8")
    return path
