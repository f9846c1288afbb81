"""Drives MPlayer in slave mode."""
import os
import subprocess
import tempfile
import threading

import drive


def watch(path):
    """Numbers the pictures that MPlayer shows on a pipe."""
    with open(path, "rb") as pipe:
        pipe.readline()
        while pipe.readline():
            drive.picture(drive.number(pipe.read(drive.PICTURE_BYTES)))


def wait(player):
    """It says why it exits."""
    for line in player.stdout:
        if b"End of file" in line:
            drive.ended()


def main():
    directory = tempfile.TemporaryDirectory()
    path = f"{directory.name}/pictures"
    os.mkfifo(path)
    command = ["mplayer", "-noconfig", "all", "-nolirc", "-slave", "-quiet", "-noframedrop"]
    command += ["-vo", f"yuv4mpeg:file={path}", "-ao", "null"]
    command += ["-lavfdopts", f"o=rtsp_transport={drive.TRANSPORT}", drive.URL]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    player = drive.start(command, **pipes, bufsize=0)
    threading.Thread(target=watch, args=[path], daemon=True).start()
    threading.Thread(target=wait, args=[player], daemon=True).start()

    def tell(command):
        player.stdin.write(command.encode() + b"\n")

    drive.script(
        lambda seconds: tell(f"seek {seconds} 2"),
        lambda: tell("pause"),
        lambda: tell("pause"),
    )
    player.wait(10)


main()
