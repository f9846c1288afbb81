//! What `--help` says after the options.

/// Examples, how to read the result, and the recipe for more viewers.
pub(crate) const AFTER: &str = "\
Examples:
  One viewer, judged for half a minute:
    reelring-load rtsp://server/title.mp4
  A thousand, a third of them over TCP, starting anywhere, while the server is watched:
    reelring-load -n 1000 --ramp 200/s --transport mix:2:1 --start random \\
      --server-pid $(pidof reelring) --plot run.svg rtsp://127.0.0.1/title.mp4
  Restless viewers, with the same choices in every run as far as the server's timing allows:
    reelring-load -n 500 --churn stop=5/s,seek=10/s,pause=5/s,vanish=2/s --seed 7 rtsp://server/a
  Overload: refusals are expected, failures and loss are not:
    reelring-load -n 5000 --max-refused 5000 rtsp://server/a rtsp://server/b
  For a script:
    reelring-load -n 100 --json=result.json --max-loss 0.01% --max-late 50ms rtsp://server/a

How to read the result:
  lateness      How long after its decode time a packet reached this machine's kernel, counted from
                the reply to PLAY and, once there are, from sender reports. RTP timestamps are
                composition times in decode order. The decode time of a picture is the composition
                time that lies as many places behind the latest as pictures are reordered, which is
                learned from the stream; without B pictures it is the timestamp. What is decoded
                before the range starts is due at its start. Early packets count as 0. Without
                seq and rtptime in RTP-Info, streams are judged from their first packet on, and
                the result says how many were.
  variation     How much longer packets took than the quickest of their stream, by decode time and
                from a second after PLAY on: what a player has to buffer. It needs neither RTP-Info
                nor sender reports, and so shows when a server falls behind whose are wrong.
  behind        How far the last packet of a stream was behind when its viewer left: a server that
                stops sending loses nothing and is never late, but it is behind.
  first packet  From PLAY to the first packet.
  OPTIONS ...   From when a request was meant to be sent, by --ramp or --churn, to its reply.
                OPTIONS includes the connection's handshake. Refusals count under 'refused'.
  burst         Datagrams of one stream of one viewer of which each reached the kernel less than 1 ms
                after the one before: how many, and their bytes with RTP headers. Each burst counts
                once, however long. Datagrams that the kernel took as one (UDP_GRO) share one time,
                so they are of one burst. A link that takes more than 1 ms for a packet (below
                12 Mbit/s) makes bursts of one.
  TCP bytes     The same of interleaved frames, '$' and length included, of all streams of a
                connection. The time is that of the read which completed a frame.
  lost          Gaps in sequence numbers, and at the end what sender reports count more. Packets
                of streams whose receive buffer overflowed here count apart: they say nothing
                about the server or the network.

  Times are the kernel's. Datagrams have one each, so a busy generator does not make the server look
  late. Interleaved packets that are read together, up to 16 KiB of them, share the time of the last:
  a generator that falls behind makes the others look late by as much as they waited for it. When the
  generator itself was the bottleneck a line says so.

SIGINT or SIGTERM ends a run early, with its result; a second one ends the program at once.

Exit status: 0 if everything was good enough, 1 if not, if a result could not be written or the run
was interrupted, 2 if the command line makes no sense.

More viewers than this machine can judge:
  --sink 0.9 throws the media of nine in ten UDP viewers away unread, by a socket filter; they still
  have their sessions, receiver reports and keep-alives, and the tenth is judged. The kernel then
  still carries every packet to its socket. With a network namespace of its own for the generator,
  nftables can drop the sinks' media where it leaves the wire (as root, server on this host):

    ip netns add load
    ip link add load0 type veth peer name load1 netns load
    ip addr add 10.8.0.1/30 dev load0 && ip link set load0 up
    ip -n load addr add 10.8.0.2/30 dev load1 && ip -n load link set load1 up
    ip -n load link set lo up
    # Viewers come from 10.9.0.0/17, sinks from 10.9.128.0/17; all of it is local in there.
    ip route add 10.9.0.0/16 via 10.8.0.2
    ip -n load route add local 10.9.0.0/16 dev lo
    # Media has even ports, reports odd ones: sinks still hear sender reports and BYE.
    ip netns exec load nft -f - <<'RULES'
    table netdev sink {
      chain ingress {
        type filter hook ingress device load1 priority 0;
        ip daddr 10.9.128.0/17 udp dport & 1 == 0 counter drop
      }
    }
    RULES
    ip netns exec load reelring-load -n 5000 --sink 0.9 --source 10.9.0.0/17 \\
      --sink-source 10.9.128.0/17 rtsp://10.8.0.1:8554/title.mp4
    ip netns del load
";
