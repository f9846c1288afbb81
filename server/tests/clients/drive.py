"""What the drivers of the clients share.

A driver is called DRIVER URL TRANSPORT PAUSE_SECONDS FILE TITLE_SECONDS play|trick. It makes one client play
a title whose pictures, 320x240 and 25 a second, carry their number in white and black boxes, and
writes what it sees, a line each with the time in front:

  begin          it asked for play from the start
  picture N      picture N of the title came out of the decoder
  seek SECONDS   it asked for another position
  pause, resume
  rate R         it asked for play at another speed
  end            the client found by itself that the title has ended
  note TEXT      why something failed
  evidence TEXT  what the client says of something that it cannot do

The script is the same for all: play, seek to the middle, pause for as long as told, resume, seek
close to the end, and play to the end. With `trick` it is another: play, seek to the middle, play four
times as fast, and then back, twice as fast.
"""
import os
import re
import signal
import subprocess
import sys
import threading
import time

BITS = 13
BOX = 24
WIDTH, HEIGHT = 320, 240
PICTURE_BYTES = WIDTH * HEIGHT * 3 // 2
# The part of a picture that carries the number.
BAND = BITS * BOX
RATE = 25

URL, TRANSPORT = sys.argv[1:3]
PAUSE_SECONDS = float(sys.argv[3])
FILE = sys.argv[4]
TITLE_SECONDS = int(sys.argv[5])
IS_TRICK = sys.argv[6] == "trick"

PORT = int(URL.split("/")[2].rsplit(":", 1)[1])
FIRST_SEEK = TITLE_SECONDS // 2
SECOND_SEEK = TITLE_SECONDS - 3
FORWARD, BACK = 4, -2
# Sync samples are shown then, a second apart.
TRICK_PICTURES = 10

_lock = threading.Lock()
_start = time.monotonic()
_seen = 0
_last = -1
_ended = threading.Event()


_children = []


def leave(*_):
    """Ends the driver and what it started."""
    for child in _children:
        child.kill()
    os._exit(1)


signal.signal(signal.SIGTERM, leave)


def start(command, **options):
    """Starts a program that does not outlive the driver."""
    child = subprocess.Popen(command, **options)
    _children.append(child)
    return child


def say(*words):
    """Writes a line, with the time since the start in front."""
    with _lock:
        print(f"{time.monotonic() - _start:.3f}", *words, flush=True)


def number(luma, stride=WIDTH):
    """The number that a picture's luma plane (bytes) carries."""
    row = (BOX // 2) * stride
    return sum(1 << bit for bit in range(BITS) if luma[row + bit * BOX + BOX // 2] > 127)


def picture(value):
    """A picture came out of the decoder."""
    global _seen, _last
    _seen += 1
    _last = value
    say("picture", value)


class Checksums:
    """Numbers by the checksum of the luma plane that libavfilter's showinfo logs."""

    def __init__(self, path):
        command = ["ffmpeg", "-v", "info", "-i", path, "-vf", "showinfo", "-an", "-f", "null", "-"]
        log = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr
        sums = [self.of(line) for line in log.splitlines()]
        self.numbers = {value: number for number, value in enumerate(filter(None, sums))}

    @staticmethod
    def of(line):
        found = re.search(r"plane_checksum:\[(\w+)", line)
        return found and found[1]

    def watch(self, stream):
        """Takes note of every picture that the filter logs."""
        for line in stream:
            if value := self.of(line):
                picture(self.numbers.get(value, -1))


def ended():
    """The client found the end by itself."""
    if not _ended.is_set():
        _ended.set()
        say("end")


def has_ended():
    """Whether the client found the end."""
    return _ended.is_set()


def wait(what, condition, seconds=15):
    """Waits until the condition holds; says so and ends the driver if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            say("note", f"gave up waiting for {what}")
            leave()
        time.sleep(0.02)


def pictures(count, seconds=15):
    """Waits for so many more pictures."""
    wanted = _seen + count
    wait(f"{count} pictures", lambda: _seen >= wanted or _ended.is_set(), seconds)


def pictures_from(first, count, seconds=15):
    """Waits for so many pictures behind a seek to about this one."""
    wait(f"picture {first}", lambda: first - 2 * RATE <= _last or _ended.is_set(), seconds)
    pictures(count, seconds)


def script(seek, pause=None, resume=None):
    """The script, for a client that decodes on threads of its own."""
    say("begin")
    pictures(60)
    say("seek", FIRST_SEEK)
    seek(FIRST_SEEK)
    pictures_from(FIRST_SEEK * RATE, 50)
    if pause:
        say("pause")
        pause()
        time.sleep(PAUSE_SECONDS)
        say("resume")
        resume()
        pictures(50)
    say("seek", SECOND_SEEK)
    seek(SECOND_SEEK)
    pictures_from(SECOND_SEEK * RATE, 1)
    wait("the end", _ended.is_set, 20)


def trick(seek, set_rate, rates=(FORWARD, BACK), before=4):
    """The other script; so many pictures may come behind a change of the rate that are of before."""
    say("begin")
    pictures(30)
    say("seek", FIRST_SEEK)
    seek(FIRST_SEEK)
    pictures_from(FIRST_SEEK * RATE, 10)
    for rate in rates:
        say("rate", rate)
        set_rate(rate)
        pictures(TRICK_PICTURES + before, 20)
