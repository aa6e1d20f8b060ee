import html
import html.parser
import itertools
import json
import re
import shutil

import numpy as np
import pytest
from report_runs import CLASSES, HOSTILE, as_before_the_renaming, seal, write_run

from tfautolabel.data import Dataset
from tfautolabel.report import write_report
from tfautolabel.report.next_steps import another_backbone
from tfautolabel.trust.earned import Earned

VOID = {"meta", "link", "img", "br", "input", "hr"}
ADDRESSES = ("src", "href", "xlink:href", "action", "poster", "srcset", "data", "formaction")


class Page(html.parser.HTMLParser):
    """Elements with their attributes, headings, and whether all that was opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.ids, self.open, self.text = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def report(out, **options):
    return Page(write_report(out, **options).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Modality to the page of a run with everything in it."""
    return {
        modality: report(write_run(tmp_path_factory.mktemp("runs") / modality, modality))
        for modality in ("image", "text", "audio")
    }


@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_nothing_is_asked_of_a_network_and_no_script_runs(pages, modality):
    page = pages[modality]
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'; img-src data:; media-src data:;")
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ADDRESSES:
                assert value.startswith(("#", "data:image/", "data:audio/", "data:,")), (tag, name, value)
            assert not re.search(r"url\((?!#)", value or "")


@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_names_and_labels_stay_text(pages, modality):
    words = pages[modality].words
    assert HOSTILE in words
    assert "$x$ & co" in words
    assert "javascript:alert(1)" in words
    assert "{{7*7}}" in words
    assert "truncated <i>PNG</i>" in words
    assert "<i>why</i> it was tuned" in words


@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_ids_are_unique_and_every_reference_leads_to_one(pages, modality):
    page = pages[modality]
    assert len(page.ids) == len(set(page.ids))
    for _, attributes in page.elements:
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in page.ids
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in page.ids


@pytest.mark.parametrize("modality", ["image", "text", "audio"])
def test_it_can_be_read_with_a_screen_reader(pages, modality):
    page = pages[modality]
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("main")) == len(page.all("h1")) == 1
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(headings))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in cell for cell in page.all("th"))
    assert all(attributes["alt"] for attributes in page.all("img"))
    assert all(attributes["aria-label"] for attributes in page.all("audio"))
    pictures = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(pictures) == 3
    assert all(svg["aria-label"] for svg in pictures)


def test_the_answer_comes_first_and_then_what_to_do(pages):
    words = pages["image"].words
    places = [
        words.index(part)
        for part in (
            "labels are accepted; by an estimate from cross-validation, which is no guarantee, at most 5 %",
            "Check 1 given label",
            "precision recall",
            "Can the confidences be believed?",
            "How many labels, at which error?",
            "lies near",
            "Labels given that may be wrong (1)",
            "Unlike anything labelled (1)",
            "Least sure",
            "Did transfer help?",
            "fingerprint",
        )
    ]
    assert places == sorted(places)
    assert "Yes: 40.0 points more than pixels" in words


def test_pictures_are_small_jpegs_and_sounds_can_be_played(pages):
    pictures = pages["image"].all("img")
    assert len(pictures) >= 2
    assert {(image["width"], image["height"]) for image in pictures} == {("48", "96")}
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in pictures)
    sounds = pages["audio"].all("audio")
    assert len(sounds) >= 2
    assert all(player["src"].startswith("data:audio/wav;base64,UklGR") for player in sounds)
    assert "<script>alert('text')</script>" in pages["text"].words


def test_a_folder_with_the_earlier_names_is_reported_on(tmp_path):
    out = write_run(tmp_path)
    now = report(out).words
    assert "<b>broken</b>.png" in now
    assert report(as_before_the_renaming(out)).words == now


def test_with_run_json_alone_there_is_a_short_report(tmp_path):
    out = write_run(tmp_path, evidence=False, extras=False)
    for name in ("predictions.parquet", "unreadable.csv"):
        (out / name).unlink()
    page = report(out)
    assert "Nothing is certified" in page.words
    assert "predictions.parquet cannot be read" in page.words
    assert [svg for svg in page.all("svg") if svg.get("role") == "img"] == []


def test_the_record_alone_gives_the_curves_too(tmp_path):
    page = report(write_run(tmp_path, evidence=False))
    assert len([svg for svg in page.all("svg") if svg.get("role") == "img"]) == 2


def test_originals_that_are_gone_are_named_and_the_report_goes_on(tmp_path):
    out = write_run(tmp_path)
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    page = report(out)
    assert "The originals are no longer at" in page.words
    assert page.all("img") == []
    assert report(out, data=tmp_path / "elsewhere").all("img")


def test_a_single_original_that_is_gone_is_counted(tmp_path):
    out = write_run(tmp_path)
    (tmp_path / "data" / "javascript:alert(1)").unlink()
    page = report(out)
    assert "1 of the examples shown here are no longer where the run found them" in page.words
    assert page.all("img")


def test_examples_in_memory_are_shown(tmp_path):
    out = write_run(tmp_path, "text")
    record = json.loads((out / "run.json").read_text())
    record["inputs"] |= {"data": "DataFrame", "labels": None}
    (out / "run.json").write_text(json.dumps(record))
    names = ["javascript:alert(1)", "0001.txt"]
    assert (
        "found in memory" in report(out, data=Dataset.from_inputs(["found in memory", "x"], ids=names)).words
    )
    assert "found in memory" not in report(out).words


def test_a_picture_that_is_broken_now_does_not_stop_the_report(tmp_path):
    out = write_run(tmp_path)
    (tmp_path / "data" / "a&b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    assert "it cannot be shown" in report(out).words


def test_damaged_evidence_is_told(tmp_path):
    out = write_run(tmp_path)
    whole = (out / "evidence.npz").read_bytes()
    (out / "evidence.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"evidence\.npz, which is not the one"):
        write_report(out)
    seal(out)
    assert "evidence.npz cannot be used" in report(out).words


def test_many_classes_are_aggregated(tmp_path):
    classes = [f"class {number}" for number in range(130)]
    page = report(write_run(tmp_path, "text", classes, labelled=520, pool=260))
    assert "The 100 commonest of 130 classes" in page.words
    assert "only the largest confusions are listed" in page.words
    assert "grey: 111 other classes" in page.words
    assert not any("matrix" in table.get("class", "") for table in page.all("table"))
    assert "The 20 commonest of 130 classes" in page.words


def test_an_audit_list_is_shown(tmp_path):
    out = write_run(tmp_path)
    (out / "audit.csv").write_text("id,label,correct\n<u>item</u>,cat,\n", encoding="utf-8")
    seal(out)
    words = report(out).words
    assert "<u>item</u>" in words
    assert "Look through the audit list of 1 item" in words


def test_the_same_run_gives_the_same_page(tmp_path):
    out = write_run(tmp_path)
    assert write_report(out).read_bytes() == write_report(out).read_bytes()


def test_matplotlib_settings_are_left_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    write_report(write_run(tmp_path))
    assert dict(matplotlib.rcParams) == before


def test_control_characters_are_replaced(tmp_path):
    out = write_run(tmp_path, classes=("bell\x07", "two"), extras=False, evidence=False)
    text = write_report(out).read_text(encoding="utf-8")
    assert "\x07" not in text
    assert "bell\ufffd" in text


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds run\.json"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ValueError, match=r"run\.json must be what a run writes"):
        write_report(tmp_path)


def test_a_report_of_somebody_else_is_kept(tmp_path):
    out = write_run(tmp_path, evidence=False)
    (out / "report.html").write_text("mine")
    with pytest.raises(ValueError, match=r"report\.html, which is something else"):
        write_report(out)
    assert (out / "report.html").read_text() == "mine"


def test_names_of_classes_match_the_table(tmp_path):
    out = write_run(tmp_path)
    from tfautolabel.runs.contents import read_run

    run = read_run(out)
    assert run.classes == CLASSES
    assert run.labels.class_ids.tolist() == (np.arange(60, 100) % 3).tolist()
    assert run.labels.unlike.nonzero()[0].tolist() == [2]


def test_an_audit_list_that_is_answered_asks_for_nothing(tmp_path):
    out = write_run(tmp_path)
    (out / "audit.csv").write_text("id,label,correct,note\nitem,cat,yes,\n", encoding="utf-8")
    seal(out)
    assert "Look through" not in report(out).words


def test_a_probe_that_is_missing_says_why(tmp_path):
    out = write_run(tmp_path)
    record = json.loads((out / "run.json").read_text())
    majority = {"name": "always {cat}", "accuracy": 0.4, "accuracy_interval_95": [0.3, 0.5]}
    majority |= {"examples": 40, "only_run_right": 17, "only_other_right": 1, "p_value": 0.00014}
    record["baseline"] = {"majority": majority, "probe": None, "why": "there is no probe: too few"}
    (out / "run.json").write_text(json.dumps(record))
    words = report(out).words
    assert "there is no probe: too few" in words
    assert "Yes: 40.0 points more than always {cat}" in words


def test_it_says_what_earlier_sets_were_worth(tmp_path):
    out = write_run(tmp_path)
    record = json.loads((out / "run.json").read_text())
    record["transfer"]["meta"] = {
        "used": False,
        "why": "what was taught is not used",
        "on_earlier": "it is <3>",
    }
    (out / "run.json").write_text(json.dumps(record))
    words = report(out).words
    assert "What earlier sets were worth What was taught is not used. It is <3>." in words


def test_an_estimate_that_nobody_asked_for_is_no_answer(tmp_path):
    out = write_run(tmp_path)
    record = json.loads((out / "run.json").read_text())
    record["estimate"], record["certificate"] = record["certificate"], None
    (out / "run.json").write_text(json.dumps(record))
    words = report(out).words
    assert words.index("Nothing is certified") < words.index("were the target:")


def test_what_was_not_earned_is_said_before_all_else_with_what_to_do(tmp_path):
    out = write_run(tmp_path, extras=False)
    record = json.loads((out / "run.json").read_text("utf-8"))
    earned = Earned(60, 20, 0, 20, 0.6, (40, 19, 1), guarded=True, floor=0.0)
    choice = [
        {"handle": name, "accuracy": share} for name, share in (("packaged:a", 0.5), ("packaged:b", 0.4))
    ]
    record |= {"earned": earned.to_dict(), "backbone": record["backbone"] | {"choice": choice}}
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    page = write_report(out).read_text("utf-8")
    answer = page[page.index('id="answer"') :]
    assert answer.index("Nothing is accepted, because the labels are not shown to be better") < answer.index(
        "Nothing is certified"
    )
    step = page[page.index('class="steps"') :]
    assert step.index("Label more before any label is accepted") < step.index("Use the labels")
    assert f"{html.escape(CLASSES[2])} (1), {html.escape(CLASSES[1])} (19)" in step
    assert "other backbones were no better: packaged:b (40.0% right when held out)" in step


@pytest.mark.parametrize(
    ("better", "told"),
    [
        (0.9, "; these labels do better without transfer: --backbone plain:pixels"),
        (0.6, "; other backbones were no better: packaged:b (50.0% right by nearest class means), "
         "plain:pixels (60.0% right by nearest class means)"),
    ],
)  # fmt: skip
def test_what_was_judged_by_nearest_means_is_told_so(better, told):
    trials = [("packaged:a", 0.7, 0.8), ("packaged:b", 0.5, None), ("plain:pixels", better, None)]
    choice = [
        {"handle": name, "nearest_mean": mean, "accuracy": head, "log_loss": head}
        for name, mean, head in trials
    ]
    assert another_backbone({"choice": choice}) == told


def test_a_raised_threshold_is_the_one_that_is_told(tmp_path):
    out = write_run(tmp_path, extras=False)
    record = json.loads((out / "run.json").read_text("utf-8"))
    record["earned"] = Earned(60, 58, 0, 20, 0.001, (20, 20, 20), guarded=True, floor=0.875).to_dict()
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    page = write_report(out).read_text("utf-8")
    assert "their confidence is at least 0.875." in page
    assert "Only labels with a confidence of at least 0.875 are accepted" in page
