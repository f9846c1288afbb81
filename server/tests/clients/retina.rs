//! The retina crate, an independent RTSP client, in this process. What it hands over is decoded
//! by ffmpeg when the title has ended.

use crate::support::players::output_of;
use crate::transcript::Transcript;
use futures::StreamExt as _;
use retina::client::{PlayOptions, Session, SessionOptions, SetupOptions, Transport};
use retina::codec::{CodecItem, FrameFormat};
use tempfile::TempDir;
use tokio::time::Instant;

/// The payload type of an RTCP BYE (RFC 3550 §12.1).
const BYE: u8 = 203;
/// Bytes of a title's pictures, cut to the row that carries the number.
const ROW_BYTES: usize = 320;

/// Plays a title of so many pictures from the start to BYE.
pub(crate) fn play(url: &str, transport: &str, title_pictures: u32) -> Transcript {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut transcript = Transcript::default();
    let begun = Instant::now();
    transcript.take(0.0, "begin", title_pictures);
    let received = runtime.block_on(receive(url, transport));
    let at = begun.elapsed().as_secs_f64();
    let (stream, has_ended) = match received {
        Ok(received) => received,
        Err(error) => {
            transcript.notes.push(error.to_string());
            return transcript;
        }
    };
    for number in numbers(&stream) {
        transcript.take(at, &format!("picture {number}"), title_pictures);
    }
    if has_ended {
        transcript.take(at, "end", title_pictures);
    }
    transcript
}

/// The video elementary stream, and whether BYE came.
async fn receive(url: &str, transport: &str) -> Result<(Vec<u8>, bool), retina::Error> {
    let url = url.parse().unwrap();
    let transport: Transport = transport.to_lowercase().parse()?;
    let mut session = Session::describe(url, SessionOptions::default()).await?;
    let streams = session.streams();
    let video = streams.iter().position(|stream| stream.media() == "video").unwrap();
    let options = SetupOptions::default().transport(transport).frame_format(FrameFormat::SIMPLE);
    session.setup(video, options).await?;
    let mut items = session.play(PlayOptions::default()).await?.demuxed()?;
    let mut stream = Vec::new();
    while let Some(item) = items.next().await {
        let item = item?;
        if let CodecItem::VideoFrame(frame) = &item {
            stream.extend_from_slice(frame.data());
        }
        let CodecItem::Rtcp(compound) = &item else { continue };
        if compound.pkts().any(|packet| packet.payload_type() == BYE) {
            return Ok((stream, true));
        }
    }
    Ok((stream, false))
}

/// The numbers that the pictures of an elementary stream carry.
fn numbers(stream: &[u8]) -> Vec<u32> {
    const BOX: usize = 24;
    const DIGITS: usize = 13;
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("stream.h264"), stream).unwrap();
    let (input, output) = (path("stream.h264"), path("rows"));
    let decode = ["-v", "error", "-f", "h264", "-i", &input, "-vsync", "passthrough"];
    let crop =
        ["-vf", "crop=320:2:0:12,scale=320:1", "-pix_fmt", "gray", "-f", "rawvideo", &output];
    output_of("ffmpeg", &[&decode[..], &crop].concat());
    let rows = std::fs::read(output).unwrap();
    let digit = |row: &[u8], place: usize| u32::from(row[place * BOX + BOX / 2] > 127) << place;
    rows.chunks_exact(ROW_BYTES)
        .map(|row| (0..DIGITS).map(|place| digit(row, place)).sum())
        .collect()
}
