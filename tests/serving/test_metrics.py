import prometheus_client
import pytest

from tfautolabel.serving.metrics import Metrics, forget_worker


@pytest.fixture
def in_files(monkeypatch):
    """Lets metrics keep values in files, and puts back what that changes for the process."""
    monkeypatch.setattr(prometheus_client.values, "ValueClass", prometheus_client.values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")


def samples(metrics):
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def count(metrics, requests, rows, versions, waiting):
    for _ in range(requests):
        metrics.count_request("cats", "predict", 200, 0.02)
    metrics.count_batch("cats", rows)
    metrics.set_versions(versions)
    metrics.set_waiting(waiting)


def test_each_worker_gives_what_all_have_counted(tmp_path, in_files):
    one, two, alone = Metrics(tmp_path, 1), Metrics(tmp_path, 2), None
    count(one, 3, 4, 1, 10)
    count(two, 2, 8, 2, 20)
    found = samples(one)
    assert found == samples(two)
    name = "tfautolabel_serving_"
    assert found[f'{name}requests_total{{code="200",method="predict",model="cats"}}'] == 5
    assert found[f'{name}request_seconds_count{{method="predict",model="cats"}}'] == 5
    assert found[f'{name}request_seconds_bucket{{le="0.01",method="predict",model="cats"}}'] == 0
    assert found[f'{name}request_seconds_bucket{{le="0.025",method="predict",model="cats"}}'] == 5
    assert found[f'{name}batch_rows_sum{{model="cats"}}'] == 12
    assert (found[f"{name}versions"], found[f"{name}waiting_rows"]) == (1, 30)
    # One that ended waits for nothing any more, and the next one goes on with its counters.
    forget_worker(tmp_path, 1)
    alone = Metrics(tmp_path, 1)
    count(alone, 1, 1, 2, 0)
    found = samples(two)
    assert found[f'{name}requests_total{{code="200",method="predict",model="cats"}}'] == 6
    assert (found[f"{name}versions"], found[f"{name}waiting_rows"]) == (2, 20)


def test_one_process_and_several_give_the_same_lines(tmp_path, in_files):
    names = []
    for metrics in (Metrics(), Metrics(tmp_path, 1)):
        count(metrics, 2, 4, 1, 0)
        names.append({name for name in samples(metrics) if not name.split("{")[0].endswith("_created")})
    assert names[0] == names[1]
