import csv
import json

import pytest
from command import assert_one_sentence, tfautolabel
from hub_modules import make_image_module
from separable import write_flat


def answer(file, answers):
    with open(file, encoding="utf-8", newline="") as stream:
        listed = list(csv.DictReader(stream))
    for row in listed:
        row["correct"] = answers(row)
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, listed[0])
        writer.writeheader()
        writer.writerows(listed)


def test_from_a_target_to_a_certificate(tmp_path):
    truth = write_flat(tmp_path / "photos", 50)
    with open(tmp_path / "labels.csv", "w", encoding="utf-8") as file:
        file.write("path,label\n" + "".join(f"{name},{truth[name]}\n" for name in list(truth)[:36]))
    out, module = tmp_path / "out", make_image_module(tmp_path / "module")
    done = tfautolabel(
        *("run", tmp_path / "photos", "--labels", tmp_path / "labels.csv", "--out", out, "--backbone"),
        *(module, "--target-error", "0.1", "--min-confidence", "0"),
        cache=tmp_path / "cache",
    )
    assert done.returncode == 0, done.stderr
    command = f"tfautolabel audit {out} --audited {out / 'audit.csv'}"
    assert "10 %" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1].strip() == command
    answer(out / "audit.csv", lambda row: truth[row["id"]])
    audited = tfautolabel(*command.split()[1:])
    assert audited.returncode == 0, audited.stderr
    wrong = json.loads((out / "run.json").read_text(encoding="utf-8"))["audit"]["wrong"]
    assert f"{wrong} of their labels were wrong" in audited.stdout
    assert tfautolabel("report", out).stdout.strip() == str(out / "report.html")
    assert_one_sentence(tfautolabel("audit", out, "--target-error", "0"), "both excluded", "0")
    assert_one_sentence(tfautolabel("audit", out, "--seed", "9"), "once answers are given", "seed=9")


@pytest.mark.parametrize("command", ["audit", "report"])
def test_a_folder_without_a_run_is_refused(tmp_path, command):
    assert_one_sentence(tfautolabel(command, tmp_path), str(tmp_path))
