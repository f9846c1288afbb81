"""Drives mpv over its socket."""
import json
import socket
import subprocess
import tempfile
import threading

import drive


class Socket:
    """mpv's JSON socket."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(path)
        threading.Thread(target=self.listen, daemon=True).start()

    def command(self, *words):
        self.connection.sendall(json.dumps({"command": words}).encode() + b"\n")

    def listen(self):
        for line in self.connection.makefile():
            event = json.loads(line)
            if event.get("event") == "end-file" and event.get("reason") == "eof":
                drive.ended()


def main():
    sums = drive.Checksums(drive.FILE)
    directory = tempfile.TemporaryDirectory()
    path = f"{directory.name}/socket"
    command = ["mpv", "--no-config", "--vo=null", "--ao=null", "--no-audio", "--framedrop=no"]
    command += [f"--input-ipc-server={path}", f"--rtsp-transport={drive.TRANSPORT}", "--hr-seek=no"]
    command += ["--no-cache", "--vf=lavfi=[showinfo]", "--msg-level=all=error,ffmpeg=v,lavfi=v,vf=v"]
    command += [drive.URL]
    player = drive.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    threading.Thread(target=sums.watch, args=[player.stdout], daemon=True).start()
    control = []

    def connected():
        try:
            control.append(Socket(path))
        except OSError:
            return False
        return True

    drive.wait("mpv", connected)
    drive.script(
        lambda seconds: control[0].command("seek", seconds, "absolute+keyframes"),
        lambda: control[0].command("set_property", "pause", True),
        lambda: control[0].command("set_property", "pause", False),
    )
    player.wait(10)


main()
