package dev.partita.chipset.acpi;

import dev.partita.chipset.interrupt.InterruptRouter;
import dev.partita.chipset.interrupt.IoApic;
import dev.partita.chipset.power.AcpiPower;
import dev.partita.chipset.power.ResetPorts;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// A board's ACPI tables (ACPI Specification 6.3, chapter 5), to be copied into guest memory.
///
/// @param address guest-physical address of the first byte
/// @param bytes the tables
/// @param rsdp guest-physical address of the root system description pointer
public record AcpiTables(long address, byte[] bytes, long rsdp) {
  /// Where the tables go: the last 128 KiB of the first MiB, in which an operating system looks for
  /// the root pointer (section 5.2.5.1). The whole area is to be reserved in the memory map.
  public static final long AREA = 0xE_0000L;

  /// Bytes of the area.
  public static final int AREA_SIZE = 0x2_0000;

  private static final long LOCAL_APIC_ADDRESS = 0xFEE0_0000L;

  private static final int HEADER = 36;
  private static final int RSDP_LENGTH = 36;
  private static final int FADT_LENGTH = 276;
  private static final int FACS_LENGTH = 64;

  /// FADT IAPC_BOOT_ARCH: there are ISA devices (the serial ports); VGA is not present. No keyboard
  /// controller; the real-time clock is present.
  private static final int BOOT_ARCHITECTURE = 1 | 1 << 2;

  /// FADT flags: WBINVD works; C1 on all processors; no sleep button; the RTC's wake status is not
  /// in the fixed registers; the timer has 32 bits; there is a reset register; no monitor, keyboard
  /// or mouse. The power button is a fixed one (bit 4 clear); not hardware-reduced (bit 20 clear).
  private static final int FLAGS = 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 12;

  private static final int PROFILE_ENTERPRISE_SERVER = 4;

  private static final int SYSTEM_IO = 1;

  /// The century's place in CMOS memory.
  private static final int RTC_CENTURY = 0x32;

  /// Builds the tables.
  ///
  /// @param address guest-physical, below 4 GiB, a multiple of 64; {@link #AREA} on the board
  public static AcpiTables build(AcpiConfiguration configuration, long address) {
    if (address < 0 || address > 0xFFF0_0000L || address % 64 != 0) {
      throw new IllegalArgumentException("ACPI tables at 0x%x".formatted(address));
    }
    var layout = new Layout(address);
    long rsdp = layout.place(RSDP_LENGTH);
    long facs = layout.add(facs());
    long dsdt = layout.add(table("DSDT", 2, Dsdt.aml(configuration)));
    long fadt = layout.add(fadt(facs, dsdt));
    long madt = layout.add(madt(configuration));
    long xsdt = layout.add(xsdt(fadt, madt));
    layout.set(rsdp, rsdp(xsdt));
    return new AcpiTables(address, layout.bytes(), rsdp);
  }

  /// Tables one after another, each at a multiple of 64 bytes.
  private static final class Layout {
    private final long address;
    private byte[] bytes = new byte[0];

    Layout(long address) {
      this.address = address;
    }

    long place(int length) {
      int offset = bytes.length + 63 & ~63;
      bytes = Arrays.copyOf(bytes, offset + length);
      return address + offset;
    }

    long add(byte[] table) {
      long at = place(table.length);
      set(at, table);
      return at;
    }

    void set(long at, byte[] table) {
      System.arraycopy(table, 0, bytes, (int) (at - address), table.length);
    }

    byte[] bytes() {
      return bytes;
    }
  }

  /// RSDP, section 5.2.5.3.
  private static byte[] rsdp(long xsdt) {
    var table = buffer(RSDP_LENGTH);
    table.put("RSD PTR ".getBytes(StandardCharsets.US_ASCII));
    table.put((byte) 0);
    table.put(oemId());
    table.put((byte) 2);
    table.putInt(0);
    table.putInt(RSDP_LENGTH);
    table.putLong(xsdt);
    // The first checksum covers the 20 bytes of ACPI 1.0, the second everything.
    table.put(8, checksum(table.array(), 20));
    table.put(32, checksum(table.array(), RSDP_LENGTH));
    return table.array();
  }

  /// XSDT, section 5.2.8.
  private static byte[] xsdt(long... tables) {
    var body = buffer(8 * tables.length);
    for (long table : tables) {
      body.putLong(table);
    }
    return table("XSDT", 1, body.array());
  }

  /// FACS, section 5.2.10: no checksum.
  private static byte[] facs() {
    var table = buffer(FACS_LENGTH);
    table.put("FACS".getBytes(StandardCharsets.US_ASCII));
    table.putInt(FACS_LENGTH);
    table.put(32, (byte) 2);
    return table.array();
  }

  /// FADT, section 5.2.9, revision 6.3.
  private static byte[] fadt(long facs, long dsdt) {
    int events = AcpiPower.PORT;
    int control = AcpiPower.PORT + 4;
    int timer = AcpiPower.PORT + 8;
    // Offsets in the specification count the header.
    var body = buffer(FADT_LENGTH - HEADER);
    body.putInt((int) facs); // FIRMWARE_CTRL
    body.putInt((int) dsdt);
    body.put((byte) 0);
    body.put((byte) PROFILE_ENTERPRISE_SERVER);
    body.putShort((short) AcpiPower.SCI);
    body.putInt(0); // SMI_CMD: always in ACPI mode
    body.putInt(0); // ACPI_ENABLE, ACPI_DISABLE, S4BIOS_REQ, PSTATE_CNT
    body.putInt(events); // PM1a_EVT_BLK
    body.putInt(0);
    body.putInt(control); // PM1a_CNT_BLK
    body.putInt(0);
    body.putInt(0); // PM2_CNT_BLK
    body.putInt(timer); // PM_TMR_BLK
    body.putInt(0); // GPE0_BLK
    body.putInt(0);
    body.put((byte) 4); // PM1_EVT_LEN
    body.put((byte) 2); // PM1_CNT_LEN
    body.put((byte) 0);
    body.put((byte) 4); // PM_TMR_LEN
    body.putInt(0); // GPE0_BLK_LEN, GPE1_BLK_LEN, GPE1_BASE, CST_CNT
    body.putShort((short) 101); // P_LVL2_LAT: over 100, no C2
    body.putShort((short) 1001); // P_LVL3_LAT: over 1000, no C3
    body.putInt(0); // FLUSH_SIZE, FLUSH_STRIDE
    body.putInt(0); // DUTY_OFFSET, DUTY_WIDTH, DAY_ALRM, MON_ALRM
    body.put((byte) RTC_CENTURY);
    body.putShort((short) BOOT_ARCHITECTURE);
    body.put((byte) 0);
    body.putInt(FLAGS);
    register(body, ResetPorts.RESET_CONTROL, 8, 1);
    body.put((byte) ResetPorts.RESET_VALUE);
    body.putShort((short) 0); // ARM_BOOT_ARCH
    body.put((byte) 3); // minor version
    body.putLong(0); // X_FIRMWARE_CTRL: FIRMWARE_CTRL is set
    body.putLong(dsdt);
    register(body, events, 32, 2); // X_PM1a_EVT_BLK
    register(body, 0, 0, 0);
    register(body, control, 16, 2); // X_PM1a_CNT_BLK
    register(body, 0, 0, 0);
    register(body, 0, 0, 0); // X_PM2_CNT_BLK
    register(body, timer, 32, 3); // X_PM_TMR_BLK
    // GPE blocks, sleep registers and hypervisor identity stay zero.
    return table("FACP", 6, body.array());
  }

  /// A generic address structure (section 5.2.3.2) in I/O space; all zero when there is none.
  ///
  /// @param bits width of the register block
  /// @param access 1 byte, 2 word, 3 double word
  private static void register(ByteBuffer into, int port, int bits, int access) {
    into.put((byte) (port == 0 ? 0 : SYSTEM_IO));
    into.put((byte) bits);
    into.put((byte) 0);
    into.put((byte) access);
    into.putLong(port);
  }

  /// MADT, section 5.2.12.
  private static byte[] madt(AcpiConfiguration configuration) {
    int processors = configuration.processorCount();
    var body = buffer(8 + 8 * processors + 12 + 10 + 10 + 6);
    body.putInt((int) LOCAL_APIC_ADDRESS);
    body.putInt(1); // PCAT_COMPAT: there is a pair of 8259s
    for (int i = 0; i < processors; i++) {
      // Processor local APIC: UID, APIC id, enabled.
      body.put((byte) 0).put((byte) 8).put((byte) i).put((byte) i).putInt(1);
    }
    // I/O APIC: id, address, first global system interrupt.
    body.put((byte) 1).put((byte) 12).put((byte) 0).put((byte) 0);
    body.putInt((int) IoApic.ADDRESS).putInt(0);
    interruptOverride(body, 0, InterruptRouter.TIMER_GSI, 0);
    // Level-triggered (bits 3:2 = 3), active high (bits 1:0 = 1).
    interruptOverride(body, AcpiPower.SCI, AcpiPower.SCI, 0b1101);
    // Local APIC NMI: all processors (0xFF), as the bus has it, LINT1.
    body.put((byte) 4).put((byte) 6).put((byte) 0xFF).putShort((short) 0).put((byte) 1);
    return table("APIC", 5, body.array());
  }

  private static void interruptOverride(ByteBuffer into, int irq, int gsi, int flags) {
    into.put((byte) 2).put((byte) 10).put((byte) 0).put((byte) irq);
    into.putInt(gsi).putShort((short) flags);
  }

  /// A table with its header, section 5.2.6.
  private static byte[] table(String signature, int revision, byte[] body) {
    var table = buffer(HEADER + body.length);
    table.put(signature.getBytes(StandardCharsets.US_ASCII));
    table.putInt(HEADER + body.length);
    table.put((byte) revision);
    table.put((byte) 0);
    table.put(oemId());
    table.put("PARTITA ".getBytes(StandardCharsets.US_ASCII)); // OEM table id
    table.putInt(1); // OEM revision
    table.put("PRTA".getBytes(StandardCharsets.US_ASCII)); // creator id
    table.putInt(1); // creator revision
    table.put(body);
    table.put(9, checksum(table.array(), table.capacity()));
    return table.array();
  }

  private static byte[] oemId() {
    return "PRTITA".getBytes(StandardCharsets.US_ASCII);
  }

  private static ByteBuffer buffer(int length) {
    return ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
  }

  /// The byte that makes the sum of so many bytes zero.
  private static byte checksum(byte[] bytes, int length) {
    int sum = 0;
    for (int i = 0; i < length; i++) {
      sum += bytes[i];
    }
    return (byte) -sum;
  }
}
