"""Prints what PyAV's FFmpeg gets from a URL or a file: each packet behind its length.

    packets.py URL udp|tcp [SECONDS]    from a server, from a time on
    packets.py FILE                     from a file
    packets.py                          whether FFmpeg is recent enough for AV1 in RTP
"""
import struct
import sys

import av

if len(sys.argv) < 2:
    print(av.ffmpeg_version_info)
    sys.exit(int(av.ffmpeg_version_info.lstrip("n").split(".")[0]) < 8)
options = {"rtsp_transport": sys.argv[2]} if len(sys.argv) > 2 else {}
with av.open(sys.argv[1], options=options, timeout=30) as container:
    if len(sys.argv) > 3:
        container.seek(int(float(sys.argv[3]) * av.time_base))
    for packet in container.demux():
        if packet.size:
            sys.stdout.buffer.write(struct.pack(">I", packet.size) + bytes(packet))
