"""Drives live555's openRTSP. It seeks only where it starts."""
import subprocess
import tempfile

import drive

OPTIONS = {"udp": [], "tcp": ["-t"], "http": ["-T", str(drive.PORT)]}
END = 'Received RTCP "BYE"'


def play(options, count):
    """Plays up to a number of pictures; whether it said that the stream has ended."""
    decode = ["ffmpeg", "-v", "error", "-probesize", "32", "-f", "h264", "-i", "-", "-vsync"]
    decode += ["passthrough", "-vf", f"crop={drive.BAND}:{drive.BOX}:0:0"]
    decode += ["-f", "rawvideo", "-pix_fmt", "gray", "-"]
    log = tempfile.TemporaryFile("w+")
    command = ["openRTSP", "-v", "-b", "300000", *options, drive.URL]
    client = drive.start(command, stdout=subprocess.PIPE, stderr=log)
    decoder = drive.start(decode, stdin=client.stdout, stdout=subprocess.PIPE)
    client.stdout.close()
    for seen in range(count):
        luma = decoder.stdout.read(drive.BAND * drive.BOX)
        if not luma:
            break
        drive.picture(drive.number(luma, drive.BAND))
    for process in [client, decoder]:
        if count < 2000:
            process.terminate()
        process.wait(10)
    log.seek(0)
    said = [line.strip() for line in log if END in line]
    for line in said:
        drive.say("saw", line)
    return bool(said)


def main():
    options = OPTIONS[drive.TRANSPORT]
    drive.say("begin")
    if drive.IS_TRICK:
        for rate in [drive.FORWARD, drive.BACK]:
            drive.say("rate", rate)
            play([*options, "-s", str(drive.FIRST_SEEK), "-z", str(rate)], drive.TRICK_PICTURES)
        drive.leave()
    play(options, 60)
    drive.say("seek", drive.FIRST_SEEK)
    play([*options, "-s", str(drive.FIRST_SEEK)], 50)
    drive.say("seek", drive.SECOND_SEEK)
    if play([*options, "-s", str(drive.SECOND_SEEK)], 2000):
        drive.ended()


main()
