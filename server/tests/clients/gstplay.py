"""Drives gst-play-1.0 by its keys. A key moves it by a twelfth of the title."""
import os
import pty
import re
import subprocess
import tempfile
import threading
import time

import drive

SCHEMES = {"udp": "rtspu", "tcp": "rtspt", "http": "rtsph"}
FORWARD = b"\x1b[C"


class Player:
    """The player and its terminal."""

    def __init__(self, arguments):
        self.terminal, inside = pty.openpty()
        pipes = {"stdin": inside, "stdout": inside, "stderr": inside}
        self.process = drive.start(["gst-play-1.0", *arguments], **pipes)
        self.position = 0.0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """It shows its position, and says when it reached the end."""
        text = ""
        while True:
            text = text[-200:] + os.read(self.terminal, 4096).decode(errors="replace")
            for hours, minutes, seconds in re.findall(r"(\d):(\d\d):(\d\d\.\d) /", text):
                self.position = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            if "Reached end of play list" in text:
                drive.ended()

    def press(self, key):
        os.write(self.terminal, key)

    def seek(self, seconds):
        """Goes there in steps, the last of which ends before it."""
        step = drive.TITLE_SECONDS * 0.08
        while self.position + step < seconds:
            before = self.position
            self.press(FORWARD)
            drive.wait("gst-play to seek", lambda: self.position > before + step * 0.7)
            time.sleep(0.3)


def watch(path):
    """Numbers the pictures that come down a pipe."""
    with open(path, "rb") as pipe:
        while picture := pipe.read(drive.PICTURE_BYTES):
            drive.picture(drive.number(picture))


def main():
    url = drive.URL.replace("rtsp:", SCHEMES[drive.TRANSPORT] + ":")
    directory = tempfile.TemporaryDirectory()
    path = f"{directory.name}/pictures"
    os.mkfifo(path)
    sink = f"videoconvert ! video/x-raw,format=I420 ! filesink async=false buffer-mode=2 location={path}"
    threading.Thread(target=watch, args=[path], daemon=True).start()
    player = Player([f"--videosink={sink}", "--audiosink=fakesink async=false", url])
    drive.script(player.seek)
    player.process.wait(10)


main()
