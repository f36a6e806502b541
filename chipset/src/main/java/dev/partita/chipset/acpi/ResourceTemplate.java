package dev.partita.chipset.acpi;

import java.io.ByteArrayOutputStream;

/// Writes resource descriptors (ACPI 6.3, section 6.4, "Resource Data Types for ACPI").
final class ResourceTemplate {
  private static final int IRQ_NO_FLAGS = 0x22;
  private static final int IO = 0x47;
  private static final int END = 0x79;
  private static final int DWORD_ADDRESS = 0x87;
  private static final int QWORD_ADDRESS = 0x8A;

  /// Resource producer, positive decode, minimum and maximum fixed.
  private static final int FIXED_PRODUCER = 0x0C;

  /// Memory that is not cached, read and write.
  private static final int READ_WRITE = 0x01;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /// `IO (Decode16, port, port, 0x01, count)`
  ResourceTemplate io(int port, int count) {
    out.write(IO);
    out.write(1);
    little(port, 2);
    little(port, 2);
    out.write(1);
    out.write(count);
    return this;
  }

  /// `IRQNoFlags () {irq}`: edge-triggered, active high, exclusive.
  ResourceTemplate irq(int irq) {
    out.write(IRQ_NO_FLAGS);
    little(1 << irq, 2);
    return this;
  }

  /// `DWordMemory` below 4 GiB or else `QWordMemory`
  /// `(ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, ...)`
  ResourceTemplate memory(long start, long size) {
    boolean wide = start + size > 1L << 32;
    int width = wide ? 8 : 4;
    out.write(wide ? QWORD_ADDRESS : DWORD_ADDRESS);
    little(3 + 5 * width, 2);
    out.write(0);
    out.write(FIXED_PRODUCER);
    out.write(READ_WRITE);
    little(0, width);
    little(start, width);
    little(start + size - 1, width);
    little(0, width);
    little(size, width);
    return this;
  }

  byte[] bytes() {
    var all = new ByteArrayOutputStream();
    all.writeBytes(out.toByteArray());
    all.write(END);
    // A checksum of zero is taken as valid.
    all.write(0);
    return all.toByteArray();
  }

  private void little(long value, int size) {
    for (int i = 0; i < size; i++) {
      out.write((int) (value >>> 8 * i));
    }
  }
}
