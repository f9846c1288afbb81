"""Drives ffmpeg. It seeks only where it starts."""
import subprocess

import drive

START = ["-noaccurate_seek", "-ss"]
# It asks for a time this much earlier where pictures are reordered.
EARLY = 0.2


def play(before, after):
    """Plays from a position, up to a number of pictures; whether it ended by itself, well."""
    command = ["ffmpeg", "-v", "error", "-rtsp_transport", drive.TRANSPORT]
    command += [*before, "-i", drive.URL, *after]
    command += ["-map", "0:v:0", "-vsync", "passthrough", "-vf", f"crop={drive.BAND}:{drive.BOX}:0:0"]
    command += ["-f", "rawvideo", "-pix_fmt", "gray", "-"]
    with drive.start(command, stdout=subprocess.PIPE) as process:
        while luma := process.stdout.read(drive.BAND * drive.BOX):
            drive.picture(drive.number(luma, drive.BAND))
    return process.returncode == 0


def main():
    drive.say("begin")
    play([], ["-frames:v", "60"])
    drive.say("seek", drive.FIRST_SEEK)
    play(START + [str(drive.FIRST_SEEK + EARLY)], ["-frames:v", "50"])
    drive.say("seek", drive.SECOND_SEEK)
    if play(START + [str(drive.SECOND_SEEK + EARLY)], []):
        drive.ended()


main()
