"""``make images``: the servers' images, pulled or built where they are missing."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.errors import SettingsError
from pipelines.settings import Settings
from pipelines.workspace import log
from serving.engine import connect
from serving.image_building import BuildOptions
from serving.image_recipe import embedded_recipe
from serving.image_supply import Supplied, supply_built, supply_tfserving, supply_torchserve

STEP_SECONDS = 1800.0
"""Longest time that the engine may say nothing: its longest step takes about 20 s on two cores."""


def prepare_images(
    settings: Settings, options: BuildOptions, embedded_too: bool, out: Console
) -> list[Supplied]:
    """Make sure that both servers' images are here, and print which they are and why.

    Args:
        settings: may name other images.
        options: for builds.
        embedded_too: whether the embedded server's image is made also where TF Serving's own is.
        out: where the table goes.

    Raises:
        EngineUnavailable: no engine answers.
        ImageMissing: an image can be neither pulled nor built.
        SettingsError, ServerMissing, StorageError: as :func:`serving.image_building.build_image`.
    """
    options.arguments()  # says what is wrong with them before anything else is done
    client = connect(STEP_SECONDS)
    try:
        supplied = [
            supply_tfserving(client, settings.tfserving_image, options, log.info),
            supply_torchserve(client, settings.torchserve_image, options, log.info),
        ]
        wanted = embedded_recipe()
        if embedded_too and all(each.image.name != wanted.name for each in supplied):
            supplied.append(supply_built(client, wanted, options, log.info, "asked for"))
    finally:
        client.close()
    _print(supplied, out)
    return supplied


def build_options(network: str, certificates: Path | None) -> BuildOptions:
    """
    Raises:
        SettingsError: the certificates are not there.
    """
    if certificates is not None and not certificates.exists():
        raise SettingsError(f"There is no {certificates}.", "Name a PEM file, or a folder of them.")
    return BuildOptions(network, certificates)


def _print(supplied: list[Supplied], out: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("image", "what it is", "MB", ""):
        table.add_column(column, justify="right" if column == "MB" else "left", no_wrap=True)
    for each in supplied:
        image = each.image
        table.add_row(image.name, image.label, f"{image.bytes / 1e6:,.0f}", each.how)
    out.print(table)
    for each in supplied:
        if each.why:
            out.print(f"{each.image.name}: {each.why}", highlight=False, soft_wrap=True)
