"""Drives xine, without picture and sound: it only says whether it can open the title."""
import os
import signal
import subprocess
import tempfile
import threading

import drive


def main():
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24"]
    drive.start(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        display = f":{told.readline().strip()}"
    home = tempfile.TemporaryDirectory()
    environment = {**os.environ, "DISPLAY": display, "HOME": home.name}
    command = ["xine", "-V", "none", "-A", "none", "--no-splash", "--verbose=2", "-pq", drive.URL]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    drive.say("begin")
    player = drive.start(command, env=environment, text=True, **pipes)
    threading.Timer(15, lambda: player.send_signal(signal.SIGTERM)).start()
    for line in player.stdout:
        if "rtsp server type" in line or "cannot find input plugin" in line:
            drive.say("evidence", line.strip())
    drive.leave()


main()
