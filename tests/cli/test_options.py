from dataclasses import fields
from typing import Annotated

import typer
from typer.testing import CliRunner

from tfautolabel.cli.options import Listing, Quiet, Reading, with_reading
from tfautolabel.runs import RunSettings


def test_a_command_that_only_lists_has_no_option_of_backbones():
    app = typer.Typer()

    @app.command()
    @with_reading
    def read(*, reading: Listing) -> None:
        """Read."""
        assert reading == {name: getattr(RunSettings(), name) for name in Listing.__annotations__}

    assert CliRunner().invoke(app, [], catch_exceptions=False).exit_code == 0
    names = [parameter.name for parameter in typer.main.get_command(app).params]
    assert [name for name in names if name in Reading.__annotations__] == list(Listing.__annotations__)


def test_a_command_has_all_options_of_reading_in_their_place():
    found = []
    app = typer.Typer()

    @app.command()
    @with_reading
    def read(
        first: Annotated[int, typer.Option("--first")] = 1, *, reading: Reading, quiet: Quiet = False
    ) -> None:
        """Read."""
        found.append((first, reading, quiet))

    runner = CliRunner()
    assert runner.invoke(app, []).exit_code == 0
    usual = RunSettings()
    assert found == [(1, {name: getattr(usual, name) for name in Reading.__annotations__}, False)]
    assert set(Reading.__annotations__) < {field.name for field in fields(RunSettings)}

    given = ["--first", "2", "--encoding", "cp1252", "--follow-links", "--frame", "3", "--quiet"]
    assert runner.invoke(app, given).exit_code == 0
    wanted = RunSettings(encoding="cp1252", follow_links=True, frame=3)
    assert found[1][0] == 2
    assert found[1][2] is True
    assert RunSettings(**found[1][1]) == wanted

    names = [parameter.name for parameter in typer.main.get_command(app).params]
    own = [name for name in names if name in ("first", "quiet", *Reading.__annotations__)]
    assert own == ["first", *Reading.__annotations__, "quiet"]
