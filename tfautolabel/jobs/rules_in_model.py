"""The rules of a run as a part of its exported model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfautolabel.jobs.tally import Clock
from tfautolabel.rules import Votes
from tfautolabel.runs.inputs import Inputs, Source
from tfautolabel.runs.settings import RunSettings

if TYPE_CHECKING:
    from tfautolabel.export import RuleGraph

STOPPED = "its searches took too long, so that none of its votes count"


def check_has_rules(source: Source) -> None:
    """Refuses a run that is to put rules into the model and has none.

    Raises:
        ValueError: If it is one.
    """
    if source.settings.rules_in_model and source.rules is None:
        raise ValueError("--rules-in-model puts the rules of --rules into the model. Received: no --rules")


def graph_of_rules(inputs: Inputs, settings: RunSettings, clock: Clock) -> RuleGraph | None:
    """Makes the graph of a run's rules, if it is asked for.

    Args:
        inputs: the rules, and the texts on which the graph's votes are compared with Python's.
        settings: of the run.
        clock: measures the time of it.

    Raises:
        ValueError: If there is no rule that a model can hold, or the examples are no texts.
    """
    if not settings.rules_in_model:
        return None
    if inputs.pool.modality != "text":
        raise ValueError(f"rules go into models of texts only. Received: {inputs.pool.modality} data")
    # Imported late: TensorFlow takes seconds to load.
    from tfautolabel.export import rule_graph

    examples = [inputs.examples, inputs.pool]
    with clock("rules"):
        return rule_graph(inputs.rules, inputs.examples.classes, examples, seed=settings.seed)


def without_stopped(graph: RuleGraph | None, votes: Votes) -> RuleGraph | None:
    """Leaves out the rules that gave up in the run; None if none is left."""
    return None if graph is None else graph.without(dict.fromkeys(votes.stopped, STOPPED))


def settled(
    asked: bool, graph: RuleGraph | None, record: dict[str, Any] | None, say: Callable[[str], None]
) -> RuleGraph | None:
    """Says what is in the model, and adds it to the record.

    Args:
        asked: whether rules were to be in it.
        graph: what `without_stopped` left.
        record: of the run's rules; gets the entry "model".
        say: is called with a sentence at a time.
    """
    if not asked or record is None:
        return None
    if graph is None:
        say(f"no rule is in the model: {STOPPED}")
        return None
    for sentence in graph.sentences():
        say(sentence)
    record["model"] = graph.describe()
    return graph
