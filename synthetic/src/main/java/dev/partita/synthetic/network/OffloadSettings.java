package dev.partita.synthetic.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// What the guest has its NIC do for it.
///
/// Of frames that it sends the NIC does what the frame asks for, whatever is set here: this is only
/// what it is told when it asks.
///
/// @param sendChecksums bits of {@link #IP4} and the like
/// @param receiveChecksums likewise
/// @param largeSends bits of {@link #LARGE_V1} and the like
/// @param coalescing of segments it receives: bits of {@link #COALESCE_IP4} and the like
record OffloadSettings(int sendChecksums, int receiveChecksums, int largeSends, int coalescing) {
  static final int IP4 = 1;
  static final int TCP4 = 2;
  static final int UDP4 = 4;
  static final int TCP6 = 8;
  static final int UDP6 = 16;
  private static final int ALL_CHECKSUMS = 31;

  static final int LARGE_V1 = 1;
  static final int LARGE_V2_IP4 = 2;
  static final int LARGE_V2_IP6 = 4;
  private static final int ALL_LARGE = 7;

  static final int COALESCE_IP4 = 1;
  static final int COALESCE_IP6 = 2;
  private static final int ALL_COALESCING = 3;

  /// What the NIC can.
  static final OffloadSettings ALL =
      new OffloadSettings(ALL_CHECKSUMS, ALL_CHECKSUMS, ALL_LARGE, ALL_COALESCING);

  /// What it begins with: all but coalescing, which not every driver can take.
  static final OffloadSettings INITIAL =
      new OffloadSettings(ALL_CHECKSUMS, ALL_CHECKSUMS, ALL_LARGE, 0);

  // NDIS_OFFLOAD, by revision (NDIS 6.0, 6.1, 6.30).
  private static final int TYPE_OFFLOAD = 0xA7;
  private static final int SIZE_1 = 112;
  private static final int SIZE_2 = 144;
  private static final int SIZE_3 = 156;
  private static final int RSC = 144;

  /// NDIS_ENCAPSULATION_IEEE_802_3.
  private static final int ETHERNET = 2;

  /// Octets of the largest IP packet that is to be cut, as Hyper-V says.
  private static final int LARGEST_SEND = 0xF53C;

  /// It is of no use for fewer segments.
  private static final int FEWEST_SEGMENTS = 2;

  // NDIS_OFFLOAD_PARAMETERS: offsets and values.
  private static final int PARAMETERS_SIZE_1 = 20;
  private static final int CHECKSUMS = 4;
  private static final int LARGE_SENDS = 9;
  private static final int LARGE_V2_SENDS = 11;
  private static final int COALESCING = 22;
  private static final int OFF = 1;
  private static final int ON = 2;
  private static final int SEND_ONLY = 2;
  private static final int RECEIVE_ONLY = 3;
  private static final int BOTH = 4;

  /// NDIS_OFFLOAD.
  ///
  /// @param most bytes that the guest takes
  /// @param coalescing whether it is to hear of that
  byte[] describe(int most, boolean withCoalescing) {
    int size = most >= SIZE_3 ? SIZE_3 : most >= SIZE_2 ? SIZE_2 : SIZE_1;
    var out = ByteBuffer.allocate(SIZE_3).order(ByteOrder.LITTLE_ENDIAN);
    out.put((byte) TYPE_OFFLOAD).put((byte) (size == SIZE_3 ? 3 : size == SIZE_2 ? 2 : 1));
    out.putShort((short) size);
    out.putInt(ETHERNET).putInt(checksums4(sendChecksums));
    out.putInt(ETHERNET).putInt(checksums4(receiveChecksums));
    out.putInt(ETHERNET).putInt(checksums6(sendChecksums));
    out.putInt(ETHERNET).putInt(checksums6(receiveChecksums));
    // Version 1, with TCP and IP options.
    putLarge(out, LARGE_V1).putInt((largeSends & LARGE_V1) != 0 ? 5 : 0);
    out.position(out.position() + 28); // IPsec
    putLarge(out, LARGE_V2_IP4);
    // IPv6 with extension headers and TCP options.
    putLarge(out, LARGE_V2_IP6).putInt((largeSends & LARGE_V2_IP6) != 0 ? 5 : 0);
    if (withCoalescing) {
      out.put(RSC, (byte) (coalescing & COALESCE_IP4));
      out.put(RSC + 1, (byte) (coalescing >> 1 & 1));
    }
    return java.util.Arrays.copyOf(out.array(), size);
  }

  private ByteBuffer putLarge(ByteBuffer out, int kind) {
    boolean on = (largeSends & kind) != 0;
    return out.putInt(on ? ETHERNET : 0)
        .putInt(on ? LARGEST_SEND : 0)
        .putInt(on ? FEWEST_SEGMENTS : 0);
  }

  /// IP options, TCP options, TCP, UDP, IP: two bits each.
  private static int checksums4(int set) {
    return ((set & IP4) != 0 ? 0x101 : 0)
        | ((set & TCP4) != 0 ? 0x14 : 0)
        | ((set & UDP4) != 0 ? 0x40 : 0);
  }

  /// Extension headers, TCP options, TCP, UDP.
  private static int checksums6(int set) {
    return ((set & (TCP6 | UDP6)) != 0 ? 1 : 0)
        | ((set & TCP6) != 0 ? 0x14 : 0)
        | ((set & UDP6) != 0 ? 0x40 : 0);
  }

  /// The settings with what a guest wants changed.
  ///
  /// @param parameters NDIS_OFFLOAD_PARAMETERS of any length
  /// @return null if it is none
  @org.jspecify.annotations.Nullable
  OffloadSettings with(ByteBuffer parameters) {
    if (parameters.limit() < PARAMETERS_SIZE_1) {
      return null;
    }
    int send = sendChecksums;
    int receive = receiveChecksums;
    for (int i = 0; i < 5; i++) {
      int value = parameters.get(CHECKSUMS + i);
      int bit = 1 << i;
      if (value >= OFF && value <= BOTH) {
        send = value == SEND_ONLY || value == BOTH ? send | bit : send & ~bit;
        receive = value == RECEIVE_ONLY || value == BOTH ? receive | bit : receive & ~bit;
      }
    }
    int large = set(largeSends, LARGE_V1, parameters.get(LARGE_SENDS));
    large = set(large, LARGE_V2_IP4, parameters.get(LARGE_V2_SENDS));
    large = set(large, LARGE_V2_IP6, parameters.get(LARGE_V2_SENDS + 1));
    int joined = coalescing;
    if (parameters.limit() >= COALESCING + 2) {
      joined = set(joined, COALESCE_IP4, parameters.get(COALESCING));
      joined = set(joined, COALESCE_IP6, parameters.get(COALESCING + 1));
    }
    return new OffloadSettings(send, receive, large, joined);
  }

  private static int set(int bits, int bit, int value) {
    return value == ON ? bits | bit : value == OFF ? bits & ~bit : bits;
  }

  /// The settings with one changed by its name in Windows' registry; other names change nothing.
  OffloadSettings with(String name, int value) {
    int bit =
        switch (name) {
          case "*IPChecksumOffloadIPv4" -> IP4;
          case "*TCPChecksumOffloadIPv4" -> TCP4;
          case "*UDPChecksumOffloadIPv4" -> UDP4;
          case "*TCPChecksumOffloadIPv6" -> TCP6;
          case "*UDPChecksumOffloadIPv6" -> UDP6;
          default -> 0;
        };
    if (bit != 0) {
      return new OffloadSettings(
          (value & 1) != 0 ? sendChecksums | bit : sendChecksums & ~bit,
          (value & 2) != 0 ? receiveChecksums | bit : receiveChecksums & ~bit,
          largeSends,
          coalescing);
    }
    return switch (name) {
      case "*LsoV1IPv4" -> withLarge(LARGE_V1, value != 0);
      case "*LsoV2IPv4" -> withLarge(LARGE_V2_IP4, value != 0);
      case "*LsoV2IPv6" -> withLarge(LARGE_V2_IP6, value != 0);
      case "*RscIPv4" -> withCoalescing(COALESCE_IP4, value != 0);
      case "*RscIPv6" -> withCoalescing(COALESCE_IP6, value != 0);
      default -> this;
    };
  }

  private OffloadSettings withLarge(int bit, boolean on) {
    return new OffloadSettings(
        sendChecksums, receiveChecksums, set(largeSends, bit, on ? ON : OFF), coalescing);
  }

  private OffloadSettings withCoalescing(int bit, boolean on) {
    return new OffloadSettings(
        sendChecksums, receiveChecksums, largeSends, set(coalescing, bit, on ? ON : OFF));
  }
}
