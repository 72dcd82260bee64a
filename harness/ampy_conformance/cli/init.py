"""`ampy-conform init`: the skeleton of a driver, in an empty folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click

from ampy_conformance._errors import UsageError
from ampy_conformance._layout import room

BROKERS = ("nats", "kafka", "memory")
# Where a template's file goes, where that is not its own name: hidden files and module files
# would not travel safely under theirs.
PLACES = {
    "gitignore": ".gitignore",
    "go.mod.txt": "go.mod",
    "conformance.yml": ".github/workflows/conformance.yml",
}
TRY = {
    "python": 'ampy-conform smoke "exec:python driver.py"',
    "go": 'go build -o driver . && ampy-conform smoke "exec:./driver"',
}


@click.command(
    epilog="""\b
Examples:
  ampy-conform init --lang python my-driver
  ampy-conform init --lang go --broker kafka my-driver"""
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--lang", type=click.Choice(tuple(TRY)), required=True, help="Language of the skeleton."
)
@click.option(
    "--broker",
    type=click.Choice(BROKERS),
    default="nats",
    help="Which the binding works on.",
    show_default=True,
)
def command(folder: Path, lang: str, broker: str) -> int:
    """Write the skeleton of a driver into DIR, with what runs it in CI.

    It answers `hello` and says `unsupported` to everything else. DIR is made, or must be empty.
    """
    _claim(folder)
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "my-driver"
    words = {
        "name": name,
        "broker": broker,
        "module": f"example.org/{name}",
        "class": "".join(each.capitalize() for each in name.split("-") if each) + "Driver",
    }
    if words["class"][0].isdigit():
        words["class"] = f"The{words['class']}"
    try:
        for each in sorted((room("kits") / "templates" / lang).iterdir()):
            text = each.read_text("utf-8")
            for word, value in words.items():
                text = text.replace("{{" + word + "}}", value)
            target = folder / PLACES.get(each.name, each.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
        if lang == "go":
            _copy_kit(folder / "driverkit")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror or error})") from error
    click.echo(f"a driver in {lang} is in {folder}; next:\n  cd {folder}\n  {TRY[lang]}")
    return 0


def _claim(folder: Path) -> None:
    """Make the folder; refuse one in which anything is."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty: name a new folder")
    except FileExistsError as error:
        raise UsageError(f"{folder} is a file: name a new folder") from error
    except OSError as error:
        raise UsageError(f"{folder} cannot be made ({error.strerror or error})") from error


def _copy_kit(target: Path) -> None:
    target.mkdir()
    for each in sorted((room("kits") / "go" / "driverkit").glob("*.go")):
        if not each.name.endswith("_test.go"):
            shutil.copyfile(each, target / each.name)
