"""Drives libcurl's RTSP: curl.py. What it leaves to the application is done here: it cuts the
packets into access units, which ffmpeg decodes. Needs python3-pycurl.
"""
import base64
import io
import re
import socket
import subprocess
import threading
import time

import pycurl

import drive

BYE = 203
PACING = 0.002
KEEP_ALIVE_SECONDS = 2


class Decoder:
    """ffmpeg, fed with H.264 in packets (RFC 6184)."""

    def __init__(self, parameter_sets):
        command = ["ffmpeg", "-v", "error", "-probesize", "32", "-threads", "1", "-f", "h264"]
        command += ["-i", "-", "-vsync", "passthrough", "-vf"]
        command += [f"crop={drive.BAND}:{drive.BOX}:0:0", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = drive.start(command, bufsize=0, **pipes)
        for unit in parameter_sets:
            self.unit(unit)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        size = drive.BAND * drive.BOX
        luma = b""
        while piece := self.process.stdout.read(size - len(luma)):
            luma += piece
            if len(luma) == size:
                drive.picture(drive.number(luma, drive.BAND))
                luma = b""

    def unit(self, unit):
        self.process.stdin.write(b"\0\0\0\1" + unit)

    def packet(self, packet):
        """The payload of an RTP packet without extension and padding."""
        payload = packet[12:]
        kind = payload[0] & 31
        if kind == 24:
            at = 1
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                self.unit(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == 28:
            head = bytes([payload[0] & 0xE0 | payload[1] & 31])
            start = b"\0\0\0\1" + head if payload[1] & 0x80 else b""
            self.process.stdin.write(start + payload[2:])
        else:
            self.unit(payload)

    def finish(self):
        """Lets it put out what it holds."""
        self.process.stdin.close()
        self.reader.join(5)


class Client:
    """A session on one libcurl handle."""

    def __init__(self):
        self.curl = pycurl.Curl()
        self.curl.setopt(pycurl.URL, drive.URL)
        self.curl.setopt(pycurl.TIMEOUT, 10)
        self.lock = threading.Lock()
        self.body = io.BytesIO()
        self.decoder = None
        self.curl.setopt(pycurl.WRITEFUNCTION, self.write)

    def write(self, data):
        """libcurl hands over bodies and interleaved frames by the same function."""
        if data[:1] == b"$" and self.decoder:
            self.take(data[1] == 0, data[4:])
        else:
            self.body.write(data)

    def take(self, is_media, packet):
        if is_media:
            self.decoder.packet(packet)
            return
        at = 0
        while at + 4 <= len(packet):
            if packet[at + 1] == BYE:
                self.decoder.finish()
                drive.ended()
            at += 4 * (int.from_bytes(packet[at + 2 : at + 4], "big") + 1)

    def request(self, method, **options):
        with self.lock:
            self.curl.setopt(pycurl.OPT_RTSP_REQUEST, method)
            for name, value in options.items():
                self.curl.setopt(getattr(pycurl, name), value)
            self.curl.perform()
            self.curl.unsetopt(pycurl.HTTPHEADER)

    def open(self):
        self.request(pycurl.RTSPREQ_OPTIONS, OPT_RTSP_STREAM_URI=drive.URL)
        self.request(pycurl.RTSPREQ_DESCRIBE)
        description = self.body.getvalue().decode()
        sets = re.search(r"sprop-parameter-sets=([^;\s]+)", description)[1].split(",")
        self.decoder = Decoder([base64.b64decode(unit) for unit in sets])
        video = description[description.index("m=video") :]
        control = re.search(r"a=control:(\S+)", video)[1]
        control = control if "://" in control else f"{drive.URL}/{control}"
        transport = self.transport()
        self.request(pycurl.RTSPREQ_SETUP, OPT_RTSP_STREAM_URI=control, OPT_RTSP_TRANSPORT=transport)
        self.curl.setopt(pycurl.OPT_RTSP_STREAM_URI, drive.URL)
        for task in [self.receive, self.keep_alive]:
            threading.Thread(target=task, daemon=True).start()

    def transport(self):
        if drive.TRANSPORT == "tcp":
            return "RTP/AVP/TCP;unicast;interleaved=0-1"
        for port in range(33000, 34000, 2):
            try:
                self.sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
                for offset, end in enumerate(self.sockets):
                    end.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            for end, is_media in zip(self.sockets, [True, False]):
                threading.Thread(target=self.listen, args=[end, is_media], daemon=True).start()
            return f"RTP/AVP;unicast;client_port={port}-{port + 1}"

    def listen(self, end, is_media):
        """Over UDP the packets are the application's business."""
        while True:
            self.take(is_media, end.recv(2048))

    def receive(self):
        """Over TCP libcurl has to be asked for them."""
        while drive.TRANSPORT == "tcp":
            if self.is_playing:
                self.request(pycurl.RTSPREQ_RECEIVE)
            time.sleep(PACING)

    def keep_alive(self):
        """This, too, libcurl leaves to the application."""
        while True:
            time.sleep(KEEP_ALIVE_SECONDS)
            if not self.is_playing:
                self.request(pycurl.RTSPREQ_OPTIONS)

    is_playing = False

    def play(self, wanted=None, scale=1):
        self.is_playing = True
        headers = [f"Scale: {scale}"] if scale != 1 else []
        headers += [f"Range: npt={wanted}-"] if wanted is not None else []
        self.request(pycurl.RTSPREQ_PLAY, **({"HTTPHEADER": headers} if headers else {}))

    def pause(self):
        self.is_playing = False
        self.request(pycurl.RTSPREQ_PAUSE)

    def seek(self, seconds):
        self.pause()
        self.play(seconds)

    def resume(self):
        self.play()


def main():
    client = Client()
    client.open()
    client.play(0)
    if drive.IS_TRICK:
        drive.trick(client.seek, lambda rate: client.play(scale=rate), before=8)
        drive.leave()
    drive.script(client.seek, client.pause, client.resume)


main()
