import contextlib
import socket

import pytest

from tfautolabel.serving.ports import SPREADS, SharedPort, listen


def test_answers_are_sent_at_once():
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_a_shared_port_has_a_socket_for_each_process_and_room_for_nobody_else():
    with contextlib.closing(SharedPort("127.0.0.1", 0)) as port:
        port.check()
        with port.socket() as one, port.socket() as other:
            assert one.getsockname() == other.getsockname() == (port.host, port.port)
            assert one.proto == socket.IPPROTO_TCP
            one.listen()
            with pytest.raises(OSError, match="cannot listen at"):
                SharedPort(port.host, port.port)
            with socket.create_connection((port.host, port.port), 10):
                one.accept()[0].close()


@pytest.mark.skipif(not SPREADS, reason="the processes have one socket")
def test_a_server_that_came_meanwhile_is_found():
    with contextlib.closing(SharedPort("127.0.0.1", 0)) as port, port.socket() as stranger:
        stranger.listen()
        with pytest.raises(OSError, match="Address already in use"):
            port.check()
