import subprocess
import sys

import tfautolabel.trust as trust


def test_all_is_what_is_exported():
    public = {name for name, value in vars(trust).items() if callable(value)}
    assert public == set(trust.__all__)


def test_tensorflow_is_not_needed():
    code = "import sys, tfautolabel.trust, tfautolabel.measures; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
