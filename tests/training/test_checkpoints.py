import os
import time

from tfautolabel._scratch import ABANDONED
from tfautolabel.training.checkpoints import sweep_checkpoints


def test_only_states_that_nobody_goes_on_with_are_swept(tmp_path):
    for name, age in (("old", ABANDONED + 60), ("young", 60)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "fold0.npz").touch()
        (folder / "fold1.partial.npz").touch()
        os.utime(folder / "fold0.npz", (0, 0))
        for path in (folder / "fold1.partial.npz", folder):
            os.utime(path, (time.time() - age,) * 2)
    sweep_checkpoints(tmp_path)
    assert os.listdir(tmp_path) == ["young"]
    assert len(os.listdir(tmp_path / "young")) == 2
    sweep_checkpoints(tmp_path / "none")
