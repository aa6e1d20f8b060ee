"""The part of a model in Label Studio: health check, setup, predictions, and the Train button.

The protocol is that of ML backends, https://labelstud.io/guide/ml, as Label Studio 1.23.2 speaks it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from tfautolabel.data.made_readable import made_readable
from tfautolabel.runs.identity import RUN_ID
from tfautolabel.runs.label_config import LabelConfig, check_label_config, model_version, parse_label_config
from tfautolabel.serving.access import HEALTH
from tfautolabel.serving.batching import Batching
from tfautolabel.serving.exchange import Answer, BodyReader, Headers, Receive, json_answer
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.refusals import Refusal, first_sentence, refusal_of
from tfautolabel.serving.servable import DEFAULT_SIGNATURE, Servable
from tfautolabel.serving.settings import Settings
from tfautolabel.serving.studio_site import StudioSite
from tfautolabel.serving.studio_training import Training

_log = logging.getLogger("tfautolabel.serving")

PATHS = (HEALTH, "/setup", "/predict", "/webhook")
PREDICT_SECONDS = 90.0
"""Label Studio waits 100 seconds for predictions."""

MEDIA_SECONDS = 20.0
_MEDIA_AT_ONCE = 8
_MAX_PROJECTS = 256
_PROJECT = re.compile(r"(\d{1,18})(\.\S{0,64})?")


class LabelStudio:
    """Answers Label Studio for one model.

    Args:
        models: the served models; there must be one.
        batching: runs the model.
        bodies: reads requests.
        settings: the limits.
        training: learns from answers.
    """

    def __init__(
        self,
        models: ServedModels,
        batching: Batching,
        bodies: BodyReader,
        settings: Settings,
        training: Training,
    ) -> None:
        self._models = models
        self._batching = batching
        self._bodies = bodies
        self._settings = settings
        self._training = training
        self._sites: dict[int, StudioSite] = {}
        self._pool = ThreadPoolExecutor(_MEDIA_AT_ONCE, "media")
        self._parsed = lru_cache(maxsize=16)(parse_label_config)

    async def answer(self, path: str, method: str, headers: Headers, receive: Receive) -> Answer:
        """Answers one request to one of `PATHS`.

        Raises:
            Refusal: If it cannot be answered; the message says why.
        """
        wanted = ("GET", "HEAD") if path == HEALTH else ("POST",)
        if method not in wanted:
            raise Refusal(405, f"{path} takes {wanted[0]}. Received: {method}", {"allow": ", ".join(wanted)})
        if path == HEALTH:  # at once, also while the model loads: Label Studio waits for one second
            state = "UP" if self._models.names() else "LOADING"
            return json_answer({"status": state, "model_class": "tfautolabel"})
        async with self._bodies.reading(headers, receive, self._settings.timeout) as body:
            request = await asyncio.to_thread(_parsed_body, body)
            if path == "/setup":
                return self._set_up(request)
            if path == "/webhook":
                return self._hear(request)
            try:
                async with asyncio.timeout(PREDICT_SECONDS):
                    return await self._predict(request)
            except TimeoutError as error:
                raise Refusal(504, f"no predictions within {PREDICT_SECONDS:g} seconds") from error

    def close(self) -> None:
        """Stops the threads, and a training that goes on."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._training.close()

    def _set_up(self, request: dict[str, Any]) -> Answer:
        servable = self._servable()
        self._config(request.get("schema"), servable)
        project = _project_of(request.get("project"))
        try:
            site = None
            if request.get("hostname"):
                site = StudioSite.named(request["hostname"], request.get("access_token"))
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        self._sites.pop(project, None)
        if site is not None:
            while len(self._sites) >= _MAX_PROJECTS:
                del self._sites[next(iter(self._sites))]
            self._sites[project] = site
        return json_answer({"model_version": _version_of(servable)})

    async def _predict(self, request: dict[str, Any]) -> Answer:
        tasks = request.get("tasks")
        if not isinstance(tasks, list):
            raise Refusal(400, f"tasks must be a list. Received: {type(tasks).__name__}")
        if len(tasks) > self._settings.max_instances:
            most = self._settings.max_instances
            raise Refusal(400, f"at most {most} tasks may come at once. Received: {len(tasks)}")
        servable = self._servable()
        config = self._config(request.get("label_config"), servable)
        site = self._sites.get(_project_of(request.get("project")))
        loop = asyncio.get_running_loop()
        inputs = await asyncio.gather(
            *(loop.run_in_executor(self._pool, self._content, task, config, site) for task in tasks)
        )
        there = [row for row, value in enumerate(inputs) if value is not None]
        results = [config.prediction(None, 0.0, _version_of(servable)) for _ in tasks]
        if there:
            array = np.empty(len(there), object)
            array[:] = [inputs[row] for row in there]
            signature = servable.signature(DEFAULT_SIGNATURE)
            try:
                outputs = await self._batching.run(servable, signature, {"examples": array})
            except Exception as error:
                raise refusal_of(error) from error
            for row, label, confidence in zip(
                there, outputs["label"].tolist(), outputs["confidence"].tolist(), strict=True
            ):
                name = label.decode("utf-8", "replace")  # empty if the model cannot read the input
                results[row] = config.prediction(
                    name or None, confidence if name else 0.0, _version_of(servable)
                )
        return json_answer({"results": results})

    def _hear(self, request: dict[str, Any]) -> Answer:
        action = request.get("action")
        if action != "START_TRAINING":  # of an annotation; Label Studio sends all of them with an export
            return json_answer({"status": "ok"})
        project = request.get("project")
        number = _project_of(project.get("id") if isinstance(project, dict) else project)
        if self._training.run is None:
            raise Refusal(
                400,
                "a model learns in the folder of the run that made it, which is served as "
                "`tfautolabel serve out/model`. Received: a model elsewhere",
            )
        site = self._sites.get(number)
        if site is None:
            raise Refusal(400, f"/setup must name the server before the training. Received: project {number}")
        started = self._training.start(site, number)
        return json_answer({"status": "training began" if started else "a training goes on already"})

    def _content(self, task: object, config: LabelConfig, site: StudioSite | None) -> bytes | None:
        """Returns what a task asks about, in a form that the model reads; None if there is none."""
        number = task.get("id") if isinstance(task, Mapping) else None
        try:
            data = task.get("data") if isinstance(task, Mapping) else None
            value = data.get(config.key) if isinstance(data, Mapping) else None
            if not isinstance(value, str):
                raise ValueError(f"a task must hold text in {config.key!r}. Received: {type(value).__name__}")
            if config.modality == "text" and not config.is_address:
                return value.encode("utf-8", "replace")
            if site is None:
                raise ValueError("media come from the server that /setup names. Received: no name")
            content = site.media(value, self._settings.max_body, MEDIA_SECONDS)
            return made_readable(config.modality)(content)
        except Exception as error:  # whatever one task holds, the others are answered
            said = first_sentence(error)
            said = said.replace(site.token, "…") if site is not None and site.token else said
            _log.warning("task cannot be read", extra={"task": str(number)[:20], "error": said})
            return None

    def _servable(self) -> Servable:
        names = self._models.names()
        if not names:
            raise Refusal(503, "the model is being loaded", {"retry-after": "5"})
        if len(names) > 1:
            raise Refusal(400, f"Label Studio is served one model. Received: {', '.join(names[:8])}")
        servable = self._models.get(names[0])
        if servable.description is None:
            raise Refusal(
                400, "the model must be one that tfautolabel exported. Received: another SavedModel"
            )
        return servable

    def _config(self, xml: object, servable: Servable) -> LabelConfig:
        description: Mapping[str, Any] = servable.description or {}
        try:
            config = self._parsed(xml if isinstance(xml, str) else "")
            check_label_config(config, description["modality"], description["classes"])
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        return config


def _parsed_body(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the body must be JSON. Received: something else") from error
    if not isinstance(request, dict):
        raise Refusal(400, f"the body must be a JSON object. Received: {type(request).__name__}")
    return request


def _project_of(value: object) -> int:
    """Returns the number of a project: Label Studio writes 2, or "2.1795780771" with the time it was made."""
    found = _PROJECT.fullmatch(str(value))
    if found is None:
        raise Refusal(400, f"a project is a number. Received: {str(value)[:40]!r}")
    return int(found[1])


def _version_of(servable: Servable) -> str:
    return model_version((servable.description or {}).get(RUN_ID))
