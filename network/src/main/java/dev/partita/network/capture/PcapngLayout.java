package dev.partita.network.capture;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/// The blocks of a pcapng file (IETF draft-ietf-opsawg-pcapng, 4), in little-endian order.
final class PcapngLayout {
  private static final int SECTION_HEADER = 0x0a0d0d0a;
  private static final int INTERFACE_DESCRIPTION = 1;
  private static final int INTERFACE_STATISTICS = 5;
  private static final int ENHANCED_PACKET = 6;
  private static final int BYTE_ORDER_MAGIC = 0x1a2b3c4d;
  private static final int ETHERNET = 1;

  private static final int END = 0;
  private static final int APPLICATION = 4;
  private static final int INTERFACE_NAME = 2;
  private static final int TIME_RESOLUTION = 9;
  private static final int FLAGS = 2;
  private static final int INTERFACE_DROPS = 5;

  private static final int INBOUND = 1;
  private static final int OUTBOUND = 2;

  private PcapngLayout() {}

  private static ByteBuffer buffer(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static int padded(int length) {
    return length + 3 & ~3;
  }

  private static void text(ByteBuffer into, int option, String text) {
    var octets = text.getBytes(StandardCharsets.UTF_8);
    into.putShort((short) option).putShort((short) octets.length).put(octets);
    into.position(into.position() + padded(octets.length) - octets.length);
  }

  private static byte[] finish(ByteBuffer block) {
    int length = block.position() + 4;
    block.putInt(length);
    block.putInt(4, length);
    return java.util.Arrays.copyOf(block.array(), length);
  }

  /// The section's header.
  static byte[] section() {
    var block = buffer(128);
    block.putInt(SECTION_HEADER).putInt(0).putInt(BYTE_ORDER_MAGIC);
    block.putShort((short) 1).putShort((short) 0).putLong(-1);
    text(block, APPLICATION, "Partita");
    block.putInt(END);
    return finish(block);
  }

  /// An interface; they are numbered from 0 in the order of their blocks.
  static byte[] port(String name, int snapLength) {
    var block = buffer(1200);
    block.putInt(INTERFACE_DESCRIPTION).putInt(0);
    block.putShort((short) ETHERNET).putShort((short) 0).putInt(snapLength);
    text(block, INTERFACE_NAME, name.length() > 200 ? name.substring(0, 200) : name);
    // Nanoseconds: 10^-9.
    block.putShort((short) TIME_RESOLUTION).putShort((short) 1).putInt(9);
    block.putInt(END);
    return finish(block);
  }

  /// A frame.
  ///
  /// @param octets what was captured of it
  /// @param length of the whole frame
  /// @param outbound from the endpoint into the switch
  static byte[] frame(int port, long nanos, byte[] octets, int length, boolean outbound) {
    var block = buffer(28 + padded(octets.length) + 16);
    block.putInt(ENHANCED_PACKET).putInt(0).putInt(port);
    block.putInt((int) (nanos >>> 32)).putInt((int) nanos);
    block.putInt(octets.length).putInt(length).put(octets);
    block.position(28 + padded(octets.length));
    block.putShort((short) FLAGS).putShort((short) 4).putInt(outbound ? OUTBOUND : INBOUND);
    block.putInt(END);
    return finish(block);
  }

  /// How many frames the capture itself has lost.
  static byte[] statistics(int port, long nanos, long drops) {
    var block = buffer(64);
    block.putInt(INTERFACE_STATISTICS).putInt(0).putInt(port);
    block.putInt((int) (nanos >>> 32)).putInt((int) nanos);
    block.putShort((short) INTERFACE_DROPS).putShort((short) 8).putLong(drops);
    block.putInt(END);
    return finish(block);
  }
}
