#!/bin/bash
# Makes the titles that the measurements of this directory play:
#
#     perf/titles.sh DIR [COUNT]
#
# COUNT (6) files of 5 minutes, 1280x720 at 25 pictures a second: H.264 Main at 2 Mbit/s with two
# B-pictures and a sync sample every 2 s, AAC at 128 kbit/s. A minute is encoded and shown five times.
set -euo pipefail

directory=${1:?"usage: perf/titles.sh DIR [COUNT]"}
count=${2-6}
mkdir -p "$directory"
for number in $(seq 1 "$count"); do
    title=$directory/title$number.mp4
    [ -e "$title" ] && continue
    minute=$directory/.minute$number.mp4
    ffmpeg -v error -y -f lavfi -i "testsrc2=size=1280x720:rate=25,hue=h=$((number * 50)),noise=alls=12:allf=t:all_seed=$number" \
        -f lavfi -i "anoisesrc=color=pink:amplitude=0.2:seed=$number:sample_rate=48000" \
        -t 60 -pix_fmt yuv420p -c:v libx264 -profile:v main -preset veryfast -g 50 -keyint_min 50 \
        -sc_threshold 0 -bf 2 -b:v 2M -maxrate 2.4M -bufsize 4M -c:a aac -b:a 128k "$minute"
    ffmpeg -v error -y -stream_loop 4 -i "$minute" -c copy -movflags +faststart "$directory/.part.mp4"
    mv "$directory/.part.mp4" "$title"
    rm "$minute"
    echo "$title"
done
