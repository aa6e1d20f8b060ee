"""Stand-ins for models in worker processes: they label texts by their length or hash, without TensorFlow."""

import os
import signal
import time

import numpy as np

from tfautolabel.data import Unreadable
from tfautolabel.labels import Labels


class ByLength:
    """Labels with the length of each text as confidence; some texts end the process that reads them.

    Args:
        deadly: a text that ends the process, or None.
        once: a file that is made before it ends the process; while it exists, nothing does.
        seconds: how long each part takes.
    """

    def __init__(self, deadly=None, once=None, seconds=0.0):
        self.deadly, self.once, self.seconds = deadly, once, seconds

    def __call__(self, part, advance):
        values = part.read(range(len(part)))
        time.sleep(self.seconds)
        if self.deadly in values and not (self.once and os.path.exists(self.once)):
            if self.once:
                open(self.once, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if b"error" in values:
            raise OSError("the disk is gone")
        advance(len(part))
        shares = np.array([len(value) / 100 for value in values], np.float32)
        labels = Labels.from_probabilities(part.ids.tolist(), np.stack([shares, 1 - shares], 1), ["a", "b"])
        return labels, str(part.ids[0])

    def set_aside(self, part, reason):
        aside = [Unreadable(str(name), reason) for name in part.ids]
        return Labels.from_probabilities([], np.zeros(0), ["a", "b"], unreadable=aside), ""
