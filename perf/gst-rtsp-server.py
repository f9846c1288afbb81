#!/usr/bin/python3
"""Serves MP4 files (H.264 and AAC) by GStreamer's RTSP server, for comparison.

Needs python3-gi and gir1.2-gst-rtsp-server-1.0.  gst-rtsp-server.py FILE|DIRECTORY [PORT]
A file is /file.mp4, those of a directory have their names.
"""
import pathlib
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer(service=sys.argv[2] if len(sys.argv) > 2 else "8555")
path = pathlib.Path(sys.argv[1])
files = {file.name: file for file in sorted(path.glob("*.mp4"))} if path.is_dir() else {"file.mp4": path}
for name, file in files.items():
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{file}" ! qtdemux name=d'
        " d.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96"
        " d.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
    )
    server.get_mount_points().add_factory(f"/{name}", factory)
server.attach(None)
for name in files:
    print(f"rtsp://127.0.0.1:{server.get_service()}/{name}", flush=True)
GLib.MainLoop().run()
