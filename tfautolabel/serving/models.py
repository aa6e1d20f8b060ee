"""The served models: loads, swaps and releases versions while requests go on."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel.serving.places import Place, fingerprint, fingerprint_beside
from tfautolabel.serving.refusals import Refusal, first_sentence
from tfautolabel.serving.servable import Servable, load_servable

_log = logging.getLogger("tfautolabel.serving")


@dataclass(frozen=True)
class VersionState:
    """The status of a version, for its status page.

    Attributes:
        state: LOADING, AVAILABLE or END.
        error_code: TensorFlow's error code, "OK" unless the version was refused.
        error_message: why it was refused.
        fingerprint: the fingerprint of the version's files when this status was found.
        beside: for a refused version, the fingerprint of the files of a run beside it.
    """

    state: str
    error_code: str = "OK"
    error_message: str = ""
    fingerprint: str = ""
    beside: str = ""


class ServedModels:
    """The models of some places, kept up to date with their folders.

    `refresh` looks at the folders and does the slow work, in one thread at a time. All other methods only
    read, and any thread may call them. A version is served once it is loaded and its recorded examples give
    the recorded results. Only then an older version is released; it stays in memory until the last request
    that uses it is answered. A refused version is checked again when one of its files changes, or when the
    record of its run changes.

    Args:
        places: where to look.
        keep: how many of a model's newest versions are served.
        load: loads one version; may raise any exception if it cannot.
        on_change: called after each change, with the number of served versions.
    """

    def __init__(
        self,
        places: Sequence[Place],
        *,
        keep: int = 1,
        load: Callable[[str, int, Path], Servable] = load_servable,
        on_change: Callable[[int], None] | None = None,
    ) -> None:
        if keep < 1:
            raise ValueError(f"at least 1 version has to be served. Received: keep={keep}")
        self._places = list(places)
        self._keep = keep
        self._load = load
        self._on_change = on_change or (lambda _: None)
        # Always replaced as a whole: a reader sees the old state or the new one, never a mixture.
        self._served: dict[str, dict[int, Servable]] = {}
        self._states: dict[str, dict[int, VersionState]] = {}
        self._seen: dict[Path, str] = {}
        self._doubles: set[tuple[str, Path]] = set()
        self._refreshing = threading.Lock()

    def names(self) -> list[str]:
        """Returns the names of the models with a served version."""
        return sorted(name for name, versions in self._served.items() if versions)

    def get(self, name: str, version: int | None = None) -> Servable:
        """Returns a served version, by default the newest one.

        Raises:
            Refusal: If the version is not served.
        """
        versions = self._served.get(name, {})
        wanted = version if version is not None else max(versions, default=None)
        if wanted is None or wanted not in versions:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refusal(404, f"Servable not found for request: {asked}")
        return versions[wanted]

    def status(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Returns a GetModelStatusResponse as JSON values: the known versions, newest first.

        Raises:
            Refusal: If no version is known.
        """
        states = self._states.get(name, {})
        if not states:
            raise Refusal(404, f"Could not find any versions of model {name}")
        if version is not None and version not in states:
            raise Refusal(404, f"Could not find version {version} of model {name}")
        wanted = sorted(states, reverse=True) if version is None else [version]
        return {"model_version_status": [_status(number, states[number]) for number in wanted]}

    def refresh(self, *, at_once: bool = False) -> None:
        """Looks at the folders and updates the served models; blocks while models load.

        Args:
            at_once: loads versions as they are. Otherwise a version must look the same in two successive
                calls before it is loaded, so that a version that is still being copied is left alone.
        """
        with self._refreshing:
            seen: dict[Path, str] = {}
            found: set[str] = set()
            for place in self._places:
                for name, versions in place.models():
                    if name in found:
                        self._say_once(name, place)
                        continue
                    found.add(name)
                    prints = {number: fingerprint(folder) for number, folder in versions.items()}
                    seen.update({versions[number]: found_print for number, found_print in prints.items()})
                    settled = {
                        number
                        for number, folder in versions.items()
                        if at_once or self._seen.get(folder) == prints[number]
                    }
                    self._refresh_model(name, versions, prints, settled)
            self._seen = seen
            # A model stays even if its folder is gone: an unmounted disk is no reason to stop answering.
            for name in set(self._states) - found:
                if not self._served.get(name):
                    self._set_states(name, {})

    def _refresh_model(
        self, name: str, versions: dict[int, Path], prints: dict[int, str], settled: set[int]
    ) -> None:
        """Loads the newest versions that can be loaded, then releases the others."""
        wanted: list[int] = []
        for number in sorted(versions, reverse=True):
            if len(wanted) == self._keep:
                break
            if self._is_served(name, number, versions[number], prints[number], number in settled):
                wanted.append(number)
        served = self._served.get(name, {})
        surplus = [number for number in served if number not in wanted]
        if wanted and surplus:
            for number in surplus:
                _log.info("version released", extra={"model": name, "version": number})
                self._set_state(name, number, VersionState("END", fingerprint=prints.get(number, "")))
            self._set_served(name, {number: served[number] for number in wanted})
            del served
            gc.collect()  # loaded graphs hold themselves in circles
        # A refused or released version is forgotten once its folder is gone.
        kept = set(versions) | set(self._served.get(name, {}))
        states = self._states.get(name, {})
        if set(states) - kept:
            self._set_states(name, {number: state for number, state in states.items() if number in kept})

    def _is_served(self, name: str, number: int, folder: Path, print_: str, settled: bool) -> bool:
        """Returns whether a version is served, after an attempt to load it if that may help."""
        known = self._states.get(name, {}).get(number)
        served = self._served.get(name, {}).get(number)
        beside = fingerprint_beside(folder)
        is_known = known is not None and known.fingerprint == print_
        if known is not None and known.error_code != "OK":
            is_known = is_known and known.beside == beside
        elif served is None:
            is_known = False
        if is_known or not settled:
            return served is not None
        if served is None:
            self._set_state(name, number, VersionState("LOADING", fingerprint=print_))
        try:
            loaded = self._load(name, number, folder)
            if fingerprint(folder) != print_:
                raise ValueError(f"its files changed while it was loaded. Received: {folder}")
        except Exception as error:  # a bad version must never stop the server
            return self._refuse(name, number, (print_, beside), error, served is not None)
        replaces = served is not None
        del served
        self._set_served(name, {**self._served.get(name, {}), number: loaded})
        if replaces:
            gc.collect()  # loaded graphs hold themselves in circles
        self._set_state(name, number, VersionState("AVAILABLE", fingerprint=print_))
        _log.info("version served", extra={"model": name, "version": number, "folder": str(folder)})
        return True

    def _refuse(
        self, name: str, number: int, prints: tuple[str, str], error: Exception, is_served: bool
    ) -> bool:
        message = first_sentence(error)
        _log.error("version refused", extra={"model": name, "version": number, "error": message})
        state = "AVAILABLE" if is_served else "END"
        self._set_state(name, number, VersionState(state, "FAILED_PRECONDITION", message, *prints))
        return is_served

    def _set_served(self, name: str, versions: dict[int, Servable]) -> None:
        self._served = {**self._served, name: versions}
        self._on_change(sum(len(each) for each in self._served.values()))

    def _say_once(self, name: str, place: Place) -> None:
        """Logs once that a model has the same name as another one."""
        if (name, place.path) not in self._doubles:
            self._doubles.add((name, place.path))
            _log.error(
                "model refused",
                extra={"model": name, "folder": str(place.path), "error": "another model has its name"},
            )

    def _set_state(self, name: str, number: int, state: VersionState) -> None:
        self._set_states(name, {**self._states.get(name, {}), number: state})

    def _set_states(self, name: str, states: dict[int, VersionState]) -> None:
        self._states = {key: value for key, value in {**self._states, name: states}.items() if value}


def _status(number: int, state: VersionState) -> dict[str, Any]:
    status = {"error_code": state.error_code, "error_message": state.error_message}
    return {"version": str(number), "state": state.state, "status": status}
