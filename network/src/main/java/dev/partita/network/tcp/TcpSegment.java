package dev.partita.network.tcp;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/// A TCP segment as it came (RFC 9293, 3.1). The payload is lent with the frame.
///
/// @param window as the field holds it, not scaled
/// @param segmentSize of the option, or 0 without
/// @param windowScale of the option, or -1 without
/// @param sacks pairs of begin and end, at most four
/// @param payload the buffer that holds the payload
/// @param payloadAt its position there
public record TcpSegment(
    int sequence,
    int acknowledgment,
    int flags,
    int window,
    int segmentSize,
    int windowScale,
    boolean sackPermitted,
    int[] sacks,
    ByteBuffer payload,
    int payloadAt,
    int payloadLength) {
  public static final int FIN = 0x01;
  public static final int SYN = 0x02;
  public static final int RST = 0x04;
  public static final int PSH = 0x08;
  public static final int ACK = 0x10;

  // Options (RFC 9293, 3.2; RFC 7323; RFC 2018).
  private static final int END = 0;
  private static final int NO_OPERATION = 1;
  private static final int SEGMENT_SIZE = 2;
  private static final int WINDOW_SCALE = 3;
  private static final int SACK_PERMITTED = 4;
  private static final int SACK = 5;

  private static final int[] NO_SACKS = {};

  /// Reads the segment of an unfragmented packet, or nothing if it is malformed.
  public static @Nullable TcpSegment of(Headers headers) {
    int length = headers.transportLength();
    if (headers.protocol() != Headers.TCP || headers.isFragment() || length < 20) {
      return null;
    }
    var frame = headers.frame();
    int tcp = headers.transport();
    int headerLength = frame.u8(tcp + 12) >> 4 << 2;
    if (headerLength < 20 || headerLength > length) {
      return null;
    }
    int segmentSize = 0;
    int windowScale = -1;
    boolean sackPermitted = false;
    var sacks = NO_SACKS;
    int end = tcp + headerLength;
    for (int at = tcp + 20; at < end; ) {
      int kind = frame.u8(at);
      if (kind == END) {
        break;
      }
      if (kind == NO_OPERATION) {
        at++;
        continue;
      }
      int size = at + 1 < end ? frame.u8(at + 1) : 0;
      if (size < 2 || size > end - at) {
        break;
      }
      switch (kind) {
        case SEGMENT_SIZE -> segmentSize = size == 4 ? frame.u16(at + 2) : segmentSize;
        case WINDOW_SCALE -> windowScale = size == 3 ? Math.min(14, frame.u8(at + 2)) : windowScale;
        case SACK_PERMITTED -> sackPermitted = true;
        case SACK -> sacks = readSacks(frame, at + 2, (size - 2) / 8);
        default -> {}
      }
      at += size;
    }
    return new TcpSegment(
        frame.i32(tcp + 4),
        frame.i32(tcp + 8),
        frame.u8(tcp + 13),
        frame.u16(tcp + 14),
        segmentSize,
        windowScale,
        sackPermitted,
        sacks,
        frame.bytes(),
        frame.start() + end,
        headers.packetEnd() - end);
  }

  private static int[] readSacks(Frame frame, int at, int count) {
    var sacks = new int[count * 2];
    for (int i = 0; i < sacks.length; i++) {
      sacks[i] = frame.i32(at + i * 4);
    }
    return sacks;
  }

  boolean has(int flag) {
    return (flags & flag) != 0;
  }

  /// What the segment takes of the sequence space.
  public int sequenceLength() {
    return payloadLength + (has(SYN) ? 1 : 0) + (has(FIN) ? 1 : 0);
  }
}
