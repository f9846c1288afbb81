#!/usr/bin/python3
"""Serves one MP4 file (H.264 and AAC) by GStreamer's RTSP server, for comparison.

Needs python3-gi and gir1.2-gst-rtsp-server-1.0.  gst-rtsp-server.py FILE [PORT]
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={sys.argv[1]} ! qtdemux name=d"
    " d.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96"
    " d.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
)
server = GstRtspServer.RTSPServer(service=sys.argv[2] if len(sys.argv) > 2 else "8555")
server.get_mount_points().add_factory("/file.mp4", factory)
server.attach(None)
print(f"rtsp://127.0.0.1:{server.get_service()}/file.mp4", flush=True)
GLib.MainLoop().run()
