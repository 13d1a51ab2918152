"""Calls from within the network namespace of a container, where its ports are the ones its users see."""

import ctypes
import os
import threading

CLONE_NEWNET = 0x40000000  # <sched.h>


def in_network_of(pid: int, job):
    """What job() returns (or raises), run in the network namespace of a process. Needs root."""
    outcome = {}

    def run():
        # A namespace belongs to a thread: this one goes away with it.
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter the network of process {pid}")
            outcome["result"] = job()
        except BaseException as error:  # handed over to the caller's thread
            outcome["error"] = error
        finally:
            os.close(namespace)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]
