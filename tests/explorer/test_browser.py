"""Proves: the page works in a real browser whose network is cut: no error, no request but for itself, every view, a click plays a
move, keys step, the address holds the view, and a phone scrolls downwards only."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from explorer.browser import Browser, program
from house.commands import TINY, run

from mothello.explorer.page import script

pytestmark = pytest.mark.skipif(program() is None, reason="no Chromium is installed: make browser")

PAINT = """new Promise(done => new PerformanceObserver(list => {
  const found = list.getEntriesByName("first-contentful-paint");
  if (found.length) done(found[0].startTime);
}).observe({type: "paint", buffered: true}))"""
COMMITTED = Path(__file__).parents[2] / "results" / "explorer" / "naive_mirrored.html"
VIEWS = ("game", "next", "intervene", "languages", "along")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """live.html: with kept steps; large.html: of recorded readings."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        kinds = "languages.kinds=[atomic,split]"
        assert run(patch, "train", "+experiment=anchor", *TINY, kinds, "checkpoints.keep.log_spaced=2", "run=run") == 0
        for out, more in (("live.html", "live_up_to=1"), ("large.html", "live_up_to=0")):
            assert run(patch, "explore", "run=run", f"out={out}", "probe_games=16", "steps=1", more) == 0
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("home")) as one:
        yield one


def opened(browser: Browser, path: Path, **screen: int | bool) -> Browser:
    browser.open(path.as_uri(), **screen)  # type: ignore[arg-type]
    return browser


def test_the_page_opens_alone_and_soon(browser: Browser, pages: Path) -> None:
    opened(browser, pages / "live.html")
    paint = browser.value(PAINT)
    print(f"first paint after {paint:.0f} ms")
    assert paint < 15_000  # below 1,000 where nothing else runs
    assert browser.problems == []
    assert browser.requests == [(pages / "live.html").as_uri()]


@pytest.mark.parametrize("screen", [{"width": 1280}, {"width": 360, "height": 740, "dark": True}])
@pytest.mark.parametrize("page", ["live.html", "large.html"])
def test_every_view_shows_something_and_nothing_is_too_wide(
    browser: Browser, pages: Path, page: str, screen: dict[str, int | bool]
) -> None:
    opened(browser, pages / page, **screen)
    shown = set()
    for view in VIEWS:
        browser.value(f"explorer.set({{view: '{view}'}})")
        shown.add(browser.value("document.getElementById('results').textContent"))
        assert browser.value("document.documentElement.scrollWidth <= innerWidth"), view
        assert browser.value("document.getElementById('lead').textContent.length") > 60
    assert len(shown) == len(VIEWS)
    boards = browser.value("explorer.set({view: 'game'}), document.querySelectorAll('.grid .board').length")
    assert boards == 2 * (browser.value("explorer.content.model.n_layer") + 1)
    assert browser.problems == []
    assert len(browser.requests) == 1


def test_the_committed_page_is_of_todays_scripts_and_shows_its_mirror(browser: Browser) -> None:
    """A naive pair that is aligned through a reflection: the page of README's first screen."""
    text = COMMITTED.read_text()
    assert script() in text, "rebuild it: python scripts/explore.py (docs/explorer.md)"
    assert len(text.encode()) < 5_000_000
    opened(browser, COMMITTED)
    model, languages = browser.value("explorer.content.model"), browser.value("explorer.content.languages.length")
    assert (model["n_layer"], model["d_model"], languages) == (3, 128, 2)
    for view in VIEWS:
        browser.value(f"explorer.set({{view: '{view}'}})")
    assert "main" in browser.value("explorer.set({view: 'languages'}), document.getElementById('results').textContent")
    assert browser.problems == []
    assert browser.requests == [COMMITTED.as_uri()]


def test_a_click_plays_a_move_and_keys_step(browser: Browser, pages: Path) -> None:
    opened(browser, pages / "live.html")
    browser.click("[data-set*=restart]")
    assert browser.value("explorer.state.game") == ""
    browser.click("#position .act")
    first = browser.value("explorer.state.game")
    assert first == browser.value("explorer.board.text([explorer.board.begin().legal[0]])")
    browser.click("#position .act")
    assert browser.value("explorer.state.ply") == 2
    assert browser.value("document.querySelectorAll('.text .move').length") == 2
    browser.press("ArrowLeft")
    assert browser.value("[explorer.state.ply, location.hash.includes('ply=1')]") == [1, True]
    browser.press("ArrowRight")
    assert browser.value("explorer.state.ply") == 2
    browser.press("2")
    assert browser.value("explorer.state.view") == "next"
    assert browser.problems == []


def test_the_address_opens_the_same_view(browser: Browser, pages: Path) -> None:
    opened(browser, pages / "live.html")
    browser.value("explorer.set({view: 'intervene', edit: 'erase', ply: 4, map: 'main', into: 'b'})")
    address, results = browser.value("[location.href, document.getElementById('results').innerHTML]")
    browser.open(address)
    assert browser.value("document.getElementById('results').innerHTML") == results
    assert browser.value("document.querySelectorAll('.panes .board').length") == 3


def test_a_pair_opens_in_the_game_through_its_map(browser: Browser, pages: Path) -> None:
    opened(browser, pages / "live.html")
    browser.value("explorer.set({view: 'languages'})")
    browser.click(".matrix tr:nth-child(3) td:nth-child(2) button")
    view, a, b, name = browser.value("(({view, a, b, map}) => [view, a, b, map])(explorer.state)")
    pair = browser.value(
        "explorer.content.pairs.pairs.find(({source, language}) => source !== language && source.startsWith('split'))"
    )
    assert (view, a, b, name) == ("game", 1, 0, pair["map"])


def test_large_models_are_not_played_freely(browser: Browser, pages: Path) -> None:
    opened(browser, pages / "large.html")
    assert "recorded" in browser.value("document.querySelector('header').textContent")
    browser.value("explorer.set({view: 'intervene'})")
    assert "cannot be edited" in browser.value("document.getElementById('results').textContent")
    browser.value("explorer.set({view: 'game', ply: 0})")
    other = browser.value(
        "(() => { const {board, content} = explorer, known = content.games.map(game => game.slice(0, 2).join());"
        "const moves = board.begin().legal.flatMap(m => board.play(board.begin(), m).legal.map(n => [m, n]));"
        "const free = moves.find(two => !known.includes(two.join())); if (!free) return null;"
        "explorer.set({game: board.text(free), ply: 2}); return document.getElementById('results').textContent; })()"
    )
    assert other is None or "Only recorded games" in other


def test_an_error_and_a_request_would_be_seen(browser: Browser, pages: Path, tmp_path: Path) -> None:
    text = (
        (pages / "live.html")
        .read_text()
        .replace("main();", "main(); console.error('no'); new Image().src = 'http://127.0.0.1:9/x';")
    )
    (tmp_path / "broken.html").write_text(text)
    opened(browser, tmp_path / "broken.html")
    until = time.monotonic() + 20
    while len(browser.problems) < 2 and time.monotonic() < until:
        browser.value("1")  # what happened meanwhile is read with every answer
        time.sleep(0.05)
    assert len(browser.problems) >= 2  # the console's error, and the request that the page's own policy stops
