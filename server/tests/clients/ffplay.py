"""Drives ffplay on a display of its own. Needs Xvfb, xdotool."""
import os
import subprocess
import threading

import drive


class Display:
    """An X display, its number chosen by the server."""

    def __init__(self):
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{drive.WIDTH}x{drive.HEIGHT}x24"]
        self.server = drive.start(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as told:
            self.environment = {**os.environ, "DISPLAY": f":{told.readline().strip()}"}
        self.environment["SDL_AUDIODRIVER"] = "dummy"

    def do(self, *words):
        subprocess.run(["xdotool", *words], env=self.environment, check=True)

    def close(self):
        self.server.terminate()
        self.server.wait()


def wait(player):
    if player.wait() == 0:
        drive.ended()


def main():
    sums = drive.Checksums(drive.FILE)
    display = Display()
    command = ["ffplay", "-autoexit", "-an", "-noframedrop", "-vf", "showinfo", "-noborder"]
    command += ["-left", "0", "-top", "0", "-rtsp_transport", drive.TRANSPORT, drive.URL]
    environment = display.environment
    player = drive.start(command, stderr=subprocess.PIPE, text=True, env=environment)
    threading.Thread(target=sums.watch, args=[player.stderr], daemon=True).start()
    threading.Thread(target=wait, args=[player], daemon=True).start()

    def seek(seconds):
        """A click with the right button seeks by its place in the window."""
        across = seconds * drive.WIDTH // drive.TITLE_SECONDS + 1
        display.do("mousemove", str(across), str(drive.HEIGHT // 2), "click", "3")

    def toggle():
        display.do("key", "p")

    try:
        drive.script(seek, toggle, toggle)
    finally:
        player.kill()
        display.close()


main()
