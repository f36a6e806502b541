package dev.partita.chipset.acpi;

/// Guest-physical addresses kept free for devices that the guest places itself.
///
/// @param start first address
/// @param size bytes, at least 1
public record MmioWindow(long start, long size) {
  /// The one below 4 GiB: between the low RAM's furthest end and the I/O APIC, 108 MiB.
  public static final MmioWindow LOW = new MmioWindow(0xF800_0000L, 0x6C0_0000L);

  public MmioWindow {
    if (start < 0 || size < 1 || start > Long.MAX_VALUE - size) {
      throw new IllegalArgumentException("MMIO window 0x%x, 0x%x bytes".formatted(start, size));
    }
  }
}
