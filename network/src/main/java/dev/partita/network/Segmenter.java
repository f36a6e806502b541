package dev.partita.network;

import java.nio.ByteBuffer;
import java.util.function.Predicate;

/// Cuts a frame that stands for several TCP segments into those segments, as a NIC with
/// segmentation offload does.
public final class Segmenter {
  // TCP flags (RFC 9293, 3.1; RFC 3168).
  private static final int FIN = 0x01;
  private static final int PSH = 0x08;
  private static final int CWR = 0x80;

  private Segmenter() {}

  /// Whether the frame is one that can be cut: an unfragmented TCP segment over IP with its headers
  /// whole and a segment size of at least one octet.
  public static boolean isWhole(Headers headers) {
    if (!headers.isIp()
        || headers.isFragment()
        || headers.protocol() != Headers.TCP
        || headers.frame().segmentSize() <= 0
        || headers.transportLength() < 20) {
      return false;
    }
    int headerLength = headers.frame().u8(headers.transport() + 12) >> 4 << 2;
    return headerLength >= 20 && headerLength <= headers.transportLength();
  }

  /// Writes the length fields and the IPv4 checksum that the sender of a large frame left open.
  ///
  /// @param headers of a frame that {@link #isWhole}
  public static void writeLengths(Headers headers) {
    var frame = headers.frame();
    if (headers.kind() == Headers.Kind.IPV4) {
      frame.put16(Frame.HEADER + 2, frame.length() - Frame.HEADER);
      writeHeaderChecksum(frame);
    } else {
      frame.put16(Frame.HEADER + 4, frame.length() - Frame.HEADER - 40);
    }
  }

  /// Computes the checksum of the IPv4 header.
  public static void writeHeaderChecksum(Frame frame) {
    int ip = Frame.HEADER;
    frame.put16(ip + 10, 0);
    int length = (frame.u8(ip) & 15) * 4;
    frame.put16(ip + 10, Checksums.of(frame.bytes(), frame.start() + ip, length));
  }

  /// Cuts.
  ///
  /// @param headers of a frame that {@link #isWhole}
  /// @param scratch room for one segment with its headers, and 4 octets before it
  /// @param segment set to each segment in turn, its checksum partial
  /// @param each gets the segment, lent; when it answers false, the rest is left out
  /// @return whether all were taken
  public static boolean cut(
      Headers headers, ByteBuffer scratch, Frame segment, Predicate<Frame> each) {
    var frame = headers.frame();
    int tcp = headers.transport();
    int data = tcp + (frame.u8(tcp + 12) >> 4 << 2);
    int end = headers.packetEnd();
    int size = frame.segmentSize();
    int sequence = frame.i32(tcp + 4);
    int flags = frame.u8(tcp + 13);
    boolean v4 = headers.kind() == Headers.Kind.IPV4;
    int identification = v4 ? frame.u16(Frame.HEADER + 4) : 0;
    int room = 4;
    for (int at = data, n = 0; at < end || n == 0; at += size, n++) {
      int payload = Math.min(size, end - at);
      scratch.put(room, frame.bytes(), frame.start(), data);
      scratch.put(room + data, frame.bytes(), frame.start() + at, payload);
      segment.set(scratch, room, data + payload).tag(frame.tag()).hash(frame.hash());
      if (v4) {
        segment.put16(Frame.HEADER + 2, data + payload - Frame.HEADER);
        segment.put16(Frame.HEADER + 4, identification + n);
        writeHeaderChecksum(segment);
      } else {
        segment.put16(Frame.HEADER + 4, data + payload - Frame.HEADER - 40);
      }
      segment.bytes().putInt(room + tcp + 4, sequence + (at - data));
      boolean last = at + payload >= end;
      int kept = flags;
      if (!last) {
        kept &= ~(FIN | PSH);
      }
      if (n > 0) {
        kept &= ~CWR;
      }
      segment.bytes().put(room + tcp + 13, (byte) kept);
      int length = data + payload - tcp;
      long pseudo =
          Checksums.pseudoHeader(headers.source(), headers.destination(), Headers.TCP, length);
      segment.put16(tcp + 16, Checksums.fold(pseudo));
      segment.partial(tcp, 16);
      if (!each.test(segment)) {
        return false;
      }
    }
    return true;
  }
}
