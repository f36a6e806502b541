package dev.partita.synthetic.network;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.network.Checksums;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.Segmenter;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// What the guest sends in one packet of the ring, copied out of its memory once, and then read:
/// messages of remote NDIS, one after the other, a frame in each. One thread at a time.
final class TransmitBuffer {
  /// Octets of all messages in one packet: the largest frame with all that may come before it, and
  /// as much again.
  static final int LONGEST_MESSAGE = 1 << 17;

  private static final int PAGE_SHIFT = 12;

  /// Page frame numbers that can be addresses.
  private static final int PAGE_NUMBER_BITS = 40;

  /// Segments are not smaller in any TCP (Linux's TCP_MIN_SND_MSS); a guest shall not have the host
  /// make one of each octet.
  private static final int SMALLEST_SEGMENT = 48;

  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private final ByteBuffer octets = ByteBuffer.allocateDirect(LONGEST_MESSAGE);
  private final ByteBuffer words = octets.duplicate().order(ByteOrder.LITTLE_ENDIAN);
  private final Frame frame = new Frame();
  private int length;
  private int position;

  /// What comes next.
  enum Next {
    FRAME,
    END,
    /// What is there is no frame; there is nothing after it.
    MALFORMED
  }

  /// Forgets the packet before.
  void clear() {
    length = 0;
    position = 0;
  }

  /// Adds a part of the send buffer.
  ///
  /// @return false if it is too long
  boolean add(GuestBuffer buffer, int offset, int count) {
    if (count > LONGEST_MESSAGE - length) {
      return false;
    }
    buffer.get(offset, octets, length, count);
    length += count;
    return true;
  }

  /// Adds the guest's memory that a packet names: eight octets, the lower half of which is the
  /// number of ranges, and the ranges, each with its bytes, the offset in the first page, and the
  /// pages (Linux, `struct vmbus_packet_mpb_array`).
  ///
  /// @param extension of the packet
  /// @return false if it is too long, not all there, or not all RAM
  boolean add(GuestRam ram, byte[] extension) {
    if (extension.length < 8) {
      return false;
    }
    int at = 8;
    for (int ranges = (int) INT.get(extension, 4); ranges != 0; ranges--) {
      if (extension.length - at < 8) {
        return false;
      }
      int count = (int) INT.get(extension, at);
      int within = (int) INT.get(extension, at + 4);
      at += 8;
      if (count < 0
          || count > LONGEST_MESSAGE - length
          || within < 0
          || within >= GuestMemory.PAGE_SIZE) {
        return false;
      }
      int pages = count + within + GuestMemory.PAGE_SIZE - 1 >> PAGE_SHIFT;
      if (pages > (extension.length - at) / Long.BYTES) {
        return false;
      }
      for (; pages > 0; pages--) {
        long page = (long) LONG.get(extension, at);
        at += Long.BYTES;
        int piece = Math.min(count, GuestMemory.PAGE_SIZE - within);
        long address = (page << PAGE_SHIFT) + within;
        if (page >>> PAGE_NUMBER_BITS != 0 || !ram.contains(address, piece)) {
          return false;
        }
        ram.get(address, octets, length, piece);
        length += piece;
        count -= piece;
        within = 0;
      }
    }
    return true;
  }

  /// What was added, for a message that is no frame: little-endian, to its limit.
  ByteBuffer message() {
    return words.slice(0, length).order(ByteOrder.LITTLE_ENDIAN);
  }

  /// Octets that were added.
  int length() {
    return length;
  }

  /// Where the next message begins.
  int position() {
    return position;
  }

  /// Goes on where another had stopped.
  void position(int from) {
    position = Math.min(from, length);
  }

  /// Reads the next message; {@link #frame} is what it holds.
  Next next() {
    int at = position;
    int left = length - at;
    if (left < RndisLayout.HEADER) {
      // A packet's end may be padded.
      return at > 0 ? Next.END : Next.MALFORMED;
    }
    int size = words.getInt(at + RndisLayout.LENGTH);
    if (words.getInt(at) != RndisLayout.PACKET || size < RndisLayout.PACKET_SIZE || size > left) {
      position = length;
      return Next.MALFORMED;
    }
    position = at + size;
    long start = RndisLayout.HEADER + unsigned(at + RndisLayout.DATA_OFFSET);
    long count = unsigned(at + RndisLayout.DATA_LENGTH);
    if (start < RndisLayout.PACKET_SIZE
        || start + count > size
        || count < Frame.HEADER
        || count > Frame.MAX_LENGTH) {
      position = length;
      return Next.MALFORMED;
    }
    frame.set(octets, at + (int) start, (int) count);
    if (!readInformation(at, size)) {
      position = length;
      return Next.MALFORMED;
    }
    return Next.FRAME;
  }

  private long unsigned(int at) {
    return Integer.toUnsignedLong(words.getInt(at));
  }

  private boolean readInformation(int message, int size) {
    long from = RndisLayout.HEADER + unsigned(message + RndisLayout.INFO_OFFSET);
    long left = unsigned(message + RndisLayout.INFO_LENGTH);
    if (left == 0) {
      return true;
    }
    if (from < RndisLayout.PACKET_SIZE || from + left > size) {
      return false;
    }
    int checksum = 0;
    int large = 0;
    int at = message + (int) from;
    while (left >= RndisLayout.INFO_HEADER) {
      long infoSize = unsigned(at + RndisLayout.INFO_SIZE);
      long value = unsigned(at + RndisLayout.INFO_VALUE);
      if (infoSize < RndisLayout.INFO_HEADER || infoSize > left) {
        return false;
      }
      if (value + Integer.BYTES <= infoSize) {
        int word = words.getInt(at + (int) value);
        switch (words.getInt(at + RndisLayout.INFO_TYPE)) {
          case RndisLayout.CHECKSUM_INFO -> checksum = word;
          case RndisLayout.LARGE_SEND_INFO -> large = word & RndisLayout.SEGMENT_MASK;
          case RndisLayout.TAG_INFO -> frame.tag(RndisLayout.tag(word));
          case RndisLayout.HASH_INFO -> frame.hash(word);
          default -> {}
        }
      }
      at += (int) infoSize;
      left -= infoSize;
    }
    if (large != 0 || checksum != 0) {
      return prepare(checksum, large);
    }
    return true;
  }

  /// Says of the frame what is left to do with it.
  private boolean prepare(int checksum, int segment) {
    frame.takeTag();
    if (segment != 0) {
      frame.segmentSize(segment);
    }
    var headers = Headers.of(frame);
    if (segment != 0) {
      if (segment < SMALLEST_SEGMENT || !Segmenter.isWhole(headers)) {
        return false;
      }
      Segmenter.writeLengths(headers);
      partial(headers, Headers.TCP, 16);
      return true;
    }
    if (!headers.isIp()) {
      return true;
    }
    if ((checksum & RndisLayout.SEND_IP_HEADER) != 0 && headers.kind() == Headers.Kind.IPV4) {
      Segmenter.writeHeaderChecksum(frame);
    }
    if (!headers.isFragment()) {
      if ((checksum & RndisLayout.SEND_TCP) != 0) {
        partial(headers, Headers.TCP, 16);
      } else if ((checksum & RndisLayout.SEND_UDP) != 0) {
        partial(headers, Headers.UDP, 6);
      }
    }
    return true;
  }

  /// The transport checksum is to be completed. The sum of the pseudo-header is written here: what
  /// drivers put there differs, for large segments above all.
  private void partial(Headers headers, int protocol, int field) {
    int transport = headers.transport();
    if (headers.protocol() != protocol || headers.transportLength() < field + 2) {
      return;
    }
    frame.truncate(headers.packetEnd());
    long sum =
        Checksums.pseudoHeader(
            headers.source(), headers.destination(), protocol, headers.transportLength());
    frame.put16(transport + field, Checksums.fold(sum));
    frame.partial(transport, field);
  }

  /// The frame of the last message, to be sent before the next one is read.
  Frame frame() {
    return frame;
  }
}
