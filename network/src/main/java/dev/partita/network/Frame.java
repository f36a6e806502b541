package dev.partita.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// An Ethernet frame on its way, without preamble and check sequence, with what offloading NICs say
/// about it.
///
/// A frame is lent: it belongs to the receiver only until its call returns. A receiver that keeps
/// it
/// copies it. The bytes are memory of the host that no guest can change meanwhile. The receiver may
/// rewrite them in place, for example to complete a checksum, and must leave a frame that means the
/// same.
///
/// Not thread-safe. One object is reused for many frames.
public final class Frame {
  /// Octets of the header: two addresses and the type.
  public static final int HEADER = 14;

  /// Largest frame: a header and the largest IP packet.
  public static final int MAX_LENGTH = HEADER + 65535;

  /// The value of {@link #tag} of a frame without one.
  public static final int NO_TAG = -1;

  /// EtherType of an 802.1Q tag.
  public static final int TYPE_8021Q = 0x8100;

  /// What is known of the transport checksum.
  public enum Checksum {
    /// Nothing: as on a wire, the packet carries it and a receiver verifies it.
    UNKNOWN,
    /// It is right; nobody needs to verify it.
    VERIFIED,
    /// It is not there yet: the field holds the sum of the pseudo-header, and whoever puts the
    /// frame
    /// on a wire sums up from {@link #checksumStart} to the end. The content needs no
    /// verification.
    PARTIAL
  }

  private ByteBuffer bytes;
  private int start;
  private int length;
  private Checksum checksum = Checksum.UNKNOWN;
  private int checksumStart;
  private int checksumOffset;
  private int segmentSize;
  private int tag = NO_TAG;
  private int hash;

  /// A frame with no octets.
  public Frame() {
    bytes = ByteBuffer.allocate(0);
  }

  /// A copy of octets, for example of a test.
  public static Frame of(byte... octets) {
    return new Frame().set(ByteBuffer.wrap(octets.clone()), 0, octets.length);
  }

  /// Points at other octets and forgets everything that was said of the former.
  ///
  /// @param bytes its position, limit and order do not matter and its content may be rewritten
  /// @param start of the frame in the buffer; octets before it may be overwritten too
  /// @param length 0 to {@link #MAX_LENGTH}
  public Frame set(ByteBuffer bytes, int start, int length) {
    if (start < 0 || length < 0 || length > MAX_LENGTH || length > bytes.capacity() - start) {
      throw new IllegalArgumentException(
          "frame of %d octets at %d in %d".formatted(length, start, bytes.capacity()));
    }
    if (this.bytes != bytes) {
      this.bytes = bytes.order() == ByteOrder.BIG_ENDIAN ? bytes : bytes.duplicate();
    }
    this.start = start;
    this.length = length;
    checksum = Checksum.UNKNOWN;
    checksumStart = 0;
    checksumOffset = 0;
    segmentSize = 0;
    tag = NO_TAG;
    hash = 0;
    return this;
  }

  /// The buffer that holds the frame, in network byte order; absolute positions only.
  public ByteBuffer bytes() {
    return bytes;
  }

  /// Where the frame begins in the buffer.
  public int start() {
    return start;
  }

  /// Octets.
  public int length() {
    return length;
  }

  /// What is known of the transport checksum.
  public Checksum checksum() {
    return checksum;
  }

  /// Where the sum begins, from the frame's begin, if the checksum is partial.
  public int checksumStart() {
    return checksumStart;
  }

  /// Where it goes, from {@link #checksumStart}, if the checksum is partial.
  public int checksumOffset() {
    return checksumOffset;
  }

  /// The checksum is right, or its state is unknown.
  public Frame verified(boolean verified) {
    checksum = verified ? Checksum.VERIFIED : Checksum.UNKNOWN;
    return this;
  }

  /// The checksum is to be completed.
  ///
  /// @throws IllegalArgumentException if the field is not in the frame
  public Frame partial(int start, int offset) {
    if (start < HEADER || offset < 0 || start + offset + 2 > length) {
      throw new IllegalArgumentException(
          "checksum at %d + %d of a frame of %d octets".formatted(start, offset, length));
    }
    checksum = Checksum.PARTIAL;
    checksumStart = start;
    checksumOffset = offset;
    return this;
  }

  /// Payload octets of each TCP segment that this large one stands for, or 0 if it stands for
  /// itself: a segment to be cut (LSO), or several that were joined (RSC).
  public int segmentSize() {
    return segmentSize;
  }

  /// @param size 0 or the payload octets of each segment
  public Frame segmentSize(int size) {
    segmentSize = size;
    return this;
  }

  /// The 802.1Q tag control information (priority, drop eligibility, VLAN), 0 to 0xffff, or
  /// {@link #NO_TAG}. The octets themselves hold none.
  public int tag() {
    return tag;
  }

  /// @param tag 0 to 0xffff or {@link #NO_TAG}
  public Frame tag(int tag) {
    this.tag = tag;
    return this;
  }

  /// The flow's hash, or 0 if none was computed; a receiver spreads flows over queues by it.
  public int hash() {
    return hash;
  }

  /// @param hash any number that is equal for all frames of a flow
  public Frame hash(int hash) {
    this.hash = hash;
    return this;
  }

  /// Takes a tag out of the octets and notes it. The rest moves nowhere; the addresses move by four
  /// octets. A second tag stays where it is.
  public Frame takeTag() {
    if (tag == NO_TAG && length >= HEADER + 4 && u16(12) == TYPE_8021Q) {
      tag = u16(14);
      bytes.putLong(start + 8, bytes.getLong(start + 4));
      bytes.putInt(start + 4, bytes.getInt(start));
      start += 4;
      length -= 4;
      checksumStart -= 4;
    }
    return this;
  }

  /// Puts the noted tag into the octets, in front of the frame.
  ///
  /// @return false if there is no room of four octets before the frame
  public boolean putTag() {
    if (tag == NO_TAG) {
      return true;
    }
    if (start < 4 || length > MAX_LENGTH - 4) {
      return false;
    }
    bytes.putInt(start - 4, bytes.getInt(start));
    bytes.putLong(start, bytes.getLong(start + 4));
    bytes.putShort(start + 8, (short) TYPE_8021Q);
    bytes.putShort(start + 10, (short) tag);
    start -= 4;
    length += 4;
    checksumStart += 4;
    tag = NO_TAG;
    return true;
  }

  /// Copies the octets and all that is noted.
  ///
  /// @param into a buffer with room from position `at` on
  public Frame copyTo(ByteBuffer into, int at) {
    into.put(at, bytes, start, length);
    var copy = new Frame().set(into, at, length);
    copy.checksum = checksum;
    copy.checksumStart = checksumStart;
    copy.checksumOffset = checksumOffset;
    copy.segmentSize = segmentSize;
    copy.tag = tag;
    copy.hash = hash;
    return copy;
  }

  /// Makes the frame shorter, for example by its padding.
  public Frame truncate(int length) {
    if (length < 0 || length > this.length) {
      throw new IllegalArgumentException("cannot cut %d to %d".formatted(this.length, length));
    }
    this.length = length;
    return this;
  }

  /// The octet at an offset from the frame's begin.
  public int u8(int at) {
    return bytes.get(start + at) & 0xff;
  }

  /// Two octets, most significant first.
  public int u16(int at) {
    return bytes.getShort(start + at) & 0xffff;
  }

  /// Four octets, most significant first.
  public int i32(int at) {
    return bytes.getInt(start + at);
  }

  /// Eight octets, most significant first.
  public long i64(int at) {
    return bytes.getLong(start + at);
  }

  /// Stores two octets.
  public void put16(int at, int value) {
    bytes.putShort(start + at, (short) value);
  }

  /// The destination's address bits.
  public long destination() {
    return i64(0) >>> 16;
  }

  /// The source's address bits.
  public long source() {
    return i64(4) & 0xffff_ffff_ffffL;
  }

  /// A copy of the octets.
  public byte[] octets() {
    var copy = new byte[length];
    bytes.get(start, copy);
    return copy;
  }
}
