#!/usr/bin/python3
"""Seeks in an RTSP presentation with GStreamer and says which pictures come after each seek.

gst-seek.py URL udp|tcp PICTURES SECONDS...   (needs python3-gi)
Writes a line for each seek: the time asked, then the MD5 of each decoded picture (I420).
"""
import hashlib
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401

PATIENCE = 15 * Gst.SECOND


def reason(pipeline, sink):
    error = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    text = f": {error.parse_error()}" if error else ""
    return text + (", end of stream" if sink.is_eos() else "")


def link(_, pad, pipeline):
    """Of two pads that appear at once, parse_launch left one unlinked now and then."""
    if pad.get_current_caps().get_structure(0).get_string("media") == "video":
        pad.link(pipeline.get_by_name("depayloader").get_static_pad("sink"))
        return
    drain = Gst.ElementFactory.make("fakesink")
    drain.set_property("async", False)
    drain.set_property("sync", False)
    pipeline.add(drain)
    drain.sync_state_with_parent()
    pad.link(drain.get_static_pad("sink"))


def main():
    url, transport, pictures = sys.argv[1], sys.argv[2], int(sys.argv[3])
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f"rtspsrc name=source location={url} protocols={transport} latency=100 "
        "rtph264depay name=depayloader ! h264parse ! avdec_h264 "
        "! video/x-raw,format=I420 ! appsink name=sink sync=false max-buffers=200"
    )
    pipeline.get_by_name("source").connect("pad-added", link, pipeline)
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    if sink.try_pull_sample(PATIENCE) is None:
        sys.exit("no picture came after the start")
    flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT
    for seconds in sys.argv[4:]:
        if not pipeline.seek_simple(Gst.Format.TIME, flags, int(float(seconds) * Gst.SECOND)):
            sys.exit(f"the seek to {seconds} was refused")
        hashes = []
        for _ in range(pictures):
            sample = sink.try_pull_sample(PATIENCE)
            if sample is None:
                sys.exit(f"no picture came after the seek to {seconds}{reason(pipeline, sink)}")
            buffer = sample.get_buffer()
            hashes.append(hashlib.md5(buffer.extract_dup(0, buffer.get_size())).hexdigest())
            # The sink uses a sample again that nobody holds.
            del buffer, sample
        print(seconds, *hashes, flush=True)
    pipeline.set_state(Gst.State.NULL)


main()
