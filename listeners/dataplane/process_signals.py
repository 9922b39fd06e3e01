"""What the supervisor is told by signals: to stop, or to start anew."""

import os
import selectors
import signal
from types import FrameType

# SIGHUP comes when the terminal is closed: nobody would be left to stop Envoy.
STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESTART = signal.SIGUSR1


class ProcessSignals:
    """Remembers signals from its creation on; a stop is never forgotten for a restart."""

    def __init__(self) -> None:
        self.stop = False
        self.restart = False
        self._wakeup, write = os.pipe()
        os.set_blocking(write, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (*STOP, RESTART):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup
            signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP, RESTART))  # blocked by the one before `exec`

    @property
    def any(self) -> bool:
        return self.stop or self.restart

    def wait(self, seconds: float) -> None:
        """Returns earlier when a signal comes."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            if selector.select(seconds):
                os.read(self._wakeup, 64)

    def hold(self) -> None:
        """What comes from now on waits in the kernel, through `exec` too, for the next `ProcessSignals`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP, RESTART))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == RESTART:
            self.restart = True
        else:
            self.stop = True
