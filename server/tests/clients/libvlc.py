"""Drives libvlc. Needs python-vlc, and a VLC with live555."""
import ctypes
import threading

import vlc

import drive

OPTIONS = {"udp": [], "tcp": ["--rtsp-tcp"], "http": ["--rtsp-http", f"--rtsp-http-port={drive.PORT}"]}
PLANE_BYTES = drive.WIDTH * drive.HEIGHT


class Screen:
    """A place for one picture at a time."""

    def __init__(self):
        self.last = -1
        self.picture = ctypes.create_string_buffer(3 * PLANE_BYTES)
        self.lock = vlc.CallbackDecorators.VideoLockCb(self.on_lock)
        self.display = vlc.CallbackDecorators.VideoDisplayCb(self.on_display)
        self.unlock = vlc.CallbackDecorators.VideoUnlockCb(lambda *_: None)

    def on_lock(self, _, planes):
        base = ctypes.addressof(self.picture)
        for plane in range(3):
            planes[plane] = base + plane * PLANE_BYTES
        return None

    def on_display(self, *_):
        """VLC shows a picture again when it has no new one."""
        number = drive.number(self.picture.raw[: drive.WIDTH * drive.BOX])
        if number != self.last:
            self.last = number
            drive.picture(number)


def main():
    quiet = ["--no-audio", "--no-drop-late-frames", "--no-skip-frames", "--no-avcodec-hurry-up"]
    instance = vlc.Instance([*quiet, *OPTIONS[drive.TRANSPORT]])
    player = instance.media_player_new()
    screen = Screen()
    # All planes have the pitch of the first.
    player.video_set_format("I420", drive.WIDTH, drive.HEIGHT, drive.WIDTH)
    player.video_set_callbacks(screen.lock, screen.unlock, screen.display, None)
    events = player.event_manager()
    events.event_attach(vlc.EventType.MediaPlayerEndReached, lambda _: drive.ended())
    failed = lambda _: drive.say("note", "VLC met an error")  # noqa: E731
    events.event_attach(vlc.EventType.MediaPlayerEncounteredError, failed)
    player.set_media(instance.media_new(drive.URL))
    player.play()

    def seek(seconds):
        player.set_time(seconds * 1000)

    if drive.IS_TRICK:
        # It has no reverse.
        drive.trick(seek, player.set_rate, [drive.FORWARD])
        drive.leave()
    drive.script(
        seek,
        lambda: player.set_pause(1),
        lambda: player.set_pause(0),
    )
    threading.Thread(target=player.stop, daemon=True).start()


main()
