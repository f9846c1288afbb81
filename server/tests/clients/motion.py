"""Drives motion, a camera recorder: it plays from the start, and begins again after the end."""
import os
import re
import subprocess
import tempfile
import threading
import time

import drive

CONFIGURATION = """
daemon off
log_level 6
target_dir {directory}
netcam_url {url}
netcam_use_tcp {is_tcp}
width {width}
height {height}
framerate {rate}
emulate_motion on
picture_output on
picture_type ppm
picture_filename %v-%Y%m%d%H%M%S-%q
movie_output off
webcontrol_port 0
stream_port 0
text_left
text_right
"""


def number(path):
    """The number that a picture carries, once it is whole."""
    size = drive.WIDTH * drive.HEIGHT * 3
    with open(path, "rb") as file:
        pixels = file.read()[-size:]
    return drive.number(pixels[::3]) if len(pixels) == size else None


def watch(directory):
    """Numbers the pictures that it writes, in that order."""
    while True:
        written = [entry for entry in os.scandir(directory) if entry.name.endswith(".ppm")]
        written.sort(key=lambda entry: entry.stat().st_mtime_ns)
        # The last may be under way.
        for entry in written[:-1]:
            drive.picture(number(entry.path))
            os.remove(entry.path)
        time.sleep(0.1)


def listen(log):
    """It says when it loses its camera."""
    for line in log:
        if re.search("reconnect|[Ll]ost", line):
            drive.say("saw", line.strip()[:200])
            drive.ended()


def main():
    directory = tempfile.TemporaryDirectory()
    settings = {"url": drive.URL, "is_tcp": "on" if drive.TRANSPORT == "tcp" else "off"}
    settings |= {"width": drive.WIDTH, "height": drive.HEIGHT, "rate": drive.RATE}
    path = f"{directory.name}/motion.conf"
    with open(path, "w", encoding="ascii") as file:
        file.write(CONFIGURATION.format(directory=directory.name, **settings))
    drive.say("begin")
    command = ["motion", "-n", "-c", path]
    player = drive.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    threading.Thread(target=watch, args=[directory.name], daemon=True).start()
    threading.Thread(target=listen, args=[player.stderr], daemon=True).start()
    drive.wait("the end", drive.has_ended, drive.TITLE_SECONDS + 15)
    player.terminate()
    player.wait(10)


main()
