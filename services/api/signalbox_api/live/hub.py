"""Hub of the live browsers: each change is filtered and encoded once for all that show the same."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from signalbox_api.errors import Full
from signalbox_api.live import frames
from signalbox_api.live.changes import Change
from signalbox_api.live.subscription import Subscription, wants
from signalbox_api.live.watcher import Frame, Watcher

#: Browsers at a time.
BROWSERS = 1000
#: Tasks that a list got last, as many as a page shows at most: it may show them still, and gets all changes of them.
SENT = 2000


class Channel:
    """Browsers that show the same; without a subscription, everything."""

    def __init__(self, subscription: Subscription | None) -> None:
        self.subscription = subscription
        self.watchers: set[Watcher] = set()
        self._sent: dict[str, None] = {}

    def select(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes that belong to what they show."""
        if self.subscription is None:
            return changes
        return [change for change in changes if self._wants(self.subscription, change)]

    def _wants(self, subscription: Subscription, change: Change) -> bool:
        wanted = wants(subscription, change)
        if change.kind != "task" or not (wanted or change.key in self._sent):
            return wanted
        self._sent.pop(change.key, None)
        self._sent[change.key] = None
        if len(self._sent) > SENT:
            del self._sent[next(iter(self._sent))]
        return True


class Hub:
    """Puts every frame into the queues of the watchers that want it."""

    def __init__(self) -> None:
        self._channels: dict[Subscription | None, Channel] = {}
        self._channel_of: dict[Watcher, Channel] = {}

    def __len__(self) -> int:
        return len(self._channel_of)

    def broadcast(self, frame: str) -> None:
        """Queue a frame without changes for all watchers."""
        for watcher in self._channel_of:
            watcher.put(Frame(frame))

    def changed(self, position: str, changes: Sequence[Change]) -> int:
        """Queue for each watcher the changes that belong to what it shows; return for how many there were any."""
        sent = 0
        for channel in self._channels.values():
            if selected := channel.select(changes):
                frame = Frame(frames.changes(position, (change.data for change in selected)), len(selected))
                for watcher in channel.watchers:
                    watcher.put(frame)
                sent += len(channel.watchers)
        return sent

    def beat(self, frame: str, counting: Callable[[int, datetime], Frame], resync: Callable[[], Frame]) -> None:
        """Queue a beat for all watchers; see `Watcher.beat`."""
        shared = Frame(frame)
        for watcher in self._channel_of:
            watcher.beat(shared, counting, resync)

    def subscribe(self, watcher: Watcher, subscription: Subscription | None) -> Channel:
        """From now on the watcher gets the changes of this subscription."""
        self._leave(watcher)
        channel = self._channels.setdefault(subscription, Channel(subscription))
        channel.watchers.add(watcher)
        self._channel_of[watcher] = channel
        return channel

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Add a watcher, which gets all changes from this moment on, until it subscribes to some.

        Raises:
            Full: there are too many already.
        """
        if len(self) >= BROWSERS:
            raise Full(f"{BROWSERS} browsers are watching already; close some, or run another api")
        watcher = Watcher()
        self.subscribe(watcher, None)
        try:
            yield watcher
        finally:
            self._leave(watcher)

    def _leave(self, watcher: Watcher) -> None:
        channel = self._channel_of.pop(watcher, None)
        if channel is None:
            return
        channel.watchers.discard(watcher)
        if not channel.watchers:
            del self._channels[channel.subscription]
