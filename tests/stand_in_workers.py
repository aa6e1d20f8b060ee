"""Workers without a model: they speak with the supervisor as real ones do, and answer with their id."""

import os
import threading

from tfautolabel.serving.worker import LISTEN, LOADED, NEWS, REFUSED, SERVING


def answer(orders, pipe, listening):
    """Answers each connection with the process id until it is told to stop."""
    news = {"model": "cats", "version": 1}
    pipe.send((NEWS, 40, "version refused", {**news, "version": 2, "error": "it is broken"}))
    pipe.send((NEWS, 20, "version served", news))
    pipe.send((LOADED,))
    assert pipe.recv() == LISTEN
    listening.listen()
    pipe.send((SERVING, ["cats"], "asyncio"))
    threading.Thread(target=_accept, args=(listening,), daemon=True).start()
    pipe.recv()


def _accept(listening):
    while True:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(str(os.getpid()).encode())


def refuse(orders, pipe, listening):
    pipe.send((REFUSED, ValueError, "no model can be served. Received: nothing"))


def end_early(orders, pipe, listening):
    if orders.number == 1:
        os._exit(7)
    pipe.recv()
