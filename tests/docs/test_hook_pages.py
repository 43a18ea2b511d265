"""Every hook has a page that tells the truth: its docstring, who uses it, an example that runs, and the errors of usual mistakes.

What a hook is given and returns stands in its docstring, which tests/plugins/test_specs.py holds; a page only shows it.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers.hook_mistakes import MISTAKES, Provoke, told
from helpers.pages import DOCS, ROOT, Block, blocks_of, execute, table_under

from dragonkit.plugins import specs

HOOKS = {name: function for name, function in vars(specs).items() if name.startswith("dragonkit_")}
SECTIONS = ["When to use it", "Example", "What goes wrong", "Who uses it"]


def page_of(name: str) -> Path:
    return DOCS / "composition.md" if name == "composition" else DOCS / "hooks" / f"{name}.md"


def section(name: str, heading: str) -> str:
    text = page_of(name).read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_every_hook_has_a_page_and_every_page_a_hook() -> None:
    assert {page.stem for page in (DOCS / "hooks").iterdir()} == {*HOOKS, "index"}


@pytest.mark.parametrize("hook", HOOKS)
def test_all_pages_are_built_alike(hook: str) -> None:
    lines = re.sub(r"^```.*?^```$", "", page_of(hook).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL).splitlines()
    assert lines[0] == f"# {hook}"
    assert [line[3:] for line in lines if line.startswith("## ")] == SECTIONS
    assert all(section(hook, heading).strip() for heading in SECTIONS)


@pytest.mark.parametrize("hook", HOOKS)
def test_it_shows_the_docstring_first_and_no_other_page_does(hook: str) -> None:
    shown = f"\n\n::: dragonkit.plugins.specs.{hook}\n"
    assert page_of(hook).read_text(encoding="utf-8").startswith(f"# {hook}{shown}")
    assert [page.stem for page in DOCS.rglob("*.md") if shown in page.read_text(encoding="utf-8")] == [hook]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_list_of_hooks_says_of_whom_it_is_asked(hook: str) -> None:
    kind = "owner" if " Owner" in (inspect.getdoc(HOOKS[hook]) or "").split("\n\n")[0] else "collecting"
    (row,) = (row for row in table_under(page_of("index"), "hook") if row[0] == f"[`{hook}`]({hook}.md)")
    assert row[1] == kind


# -- who uses it -------------------------------------------------------------------------------------------------------------------------


def users(hook: str) -> Iterator[tuple[str, str]]:
    """(what the page names, source code in which the hook must be implemented)."""
    text = section(hook, "Who uses it")
    for module in re.findall(r"`(dragonkit\.[\w.]+)`", text):
        yield module, inspect.getsource(importlib.import_module(module))
    for package in re.findall(r"`plugins/([\w-]+)`", text):
        yield package, (ROOT / "plugins" / package / f"{package.replace('-', '_')}.py").read_text(encoding="utf-8")
    for test, file in re.findall(r"`(test_\w+)` in `(tests/[\w/.]+)`", text):
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
        source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / file).parent.glob("*.py"))
        yield test, source


@pytest.mark.parametrize("hook", HOOKS)
def test_who_uses_it_does(hook: str) -> None:
    named = dict(users(hook))
    assert named
    assert [name for name, source in named.items() if f"def {hook}(" not in source] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_all_built_in_plugins_that_use_it_are_named(hook: str) -> None:
    from dragonkit.plugins.registry import BUILTIN

    using = {name for name in BUILTIN if hook in vars(importlib.import_module(name))}
    assert using <= {name for name, _ in users(hook)}


# -- examples ----------------------------------------------------------------------------------------------------------------------------


def examples(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.runs]


@pytest.mark.parametrize("hook", HOOKS)
def test_an_example_runs(hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = ModuleType(hook).__dict__
    assert examples(page_of(hook))
    for block in examples(page_of(hook)):
        execute(block, namespace)
    defined = [namespace, *(vars(value) for value in namespace.values() if inspect.isclass(value))]
    assert any(hook in names for names in defined), "the example implements the hook"


# -- what goes wrong ---------------------------------------------------------------------------------------------------------------------


def test_every_page_has_mistakes() -> None:
    assert set(MISTAKES) == {*HOOKS, "index", "composition"}


@pytest.mark.parametrize("page", MISTAKES)
def test_every_mistake_on_a_page_is_made_here(page: str) -> None:
    assert len(table_under(page_of(page), "mistake")) == len(MISTAKES[page])


@pytest.mark.parametrize(
    ("page", "number", "provoke"),
    [(page, number, provoke) for page, provokes in MISTAKES.items() for number, provoke in enumerate(provokes)],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
def test_a_mistake_gives_the_error_that_the_page_quotes(page: str, number: int, provoke: Provoke) -> None:
    assert table_under(page_of(page), "mistake")[number][1] == told(provoke)
