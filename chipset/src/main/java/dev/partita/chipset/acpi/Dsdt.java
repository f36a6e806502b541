package dev.partita.chipset.acpi;

import dev.partita.chipset.power.AcpiPower;
import dev.partita.chipset.power.ResetPorts;
import java.util.Locale;

/// The definition block of the board.
final class Dsdt {
  static byte[] aml(AcpiConfiguration configuration) {
    var aml = new AmlWriter();
    // Name (\_S5, Package () {5, 0, 0, 0})   // PM1a and PM1b SLP_TYP, reserved
    aml.integers("\\_S5", AcpiPower.SLEEP_TYPE_S5, 0, 0, 0);
    // Scope (\_SB) { ... }
    aml.scope(
        "\\_SB",
        board -> {
          processors(board, configuration);
          legacyDevices(board);
          serialPorts(board, configuration);
          module(board, configuration);
        });
    return aml.bytes();
  }

  // Device (P000)
  // {
  //     Name (_HID, "ACPI0007")
  //     Name (_UID, 0)              // the processor UID in MADT
  // }
  private static void processors(AmlWriter board, AcpiConfiguration configuration) {
    for (int i = 0; i < configuration.processorCount(); i++) {
      int uid = i;
      board.device(
          String.format(Locale.ROOT, "P%03X", i),
          device -> device.name("_HID", "ACPI0007").name("_UID", uid));
    }
  }

  private static void legacyDevices(AmlWriter board) {
    // Device (PIC)
    // {
    //     Name (_HID, EisaId ("PNP0000"))
    //     Name (_CRS, ResourceTemplate ()
    //     {
    //         IO (Decode16, 0x0020, 0x0020, 0x01, 0x02)
    //         IO (Decode16, 0x00A0, 0x00A0, 0x01, 0x02)
    //         IO (Decode16, 0x04D0, 0x04D0, 0x01, 0x02)
    //         IRQNoFlags () {2}
    //     })
    // }
    board.device(
        "PIC",
        device ->
            device
                .eisaId("_HID", "PNP0000")
                .resources("_CRS", crs -> crs.io(0x20, 2).io(0xA0, 2).io(0x4D0, 2).irq(2)));
    // Device (PIT)
    // {
    //     Name (_HID, EisaId ("PNP0100"))
    //     Name (_CRS, ResourceTemplate ()
    //     {
    //         IO (Decode16, 0x0040, 0x0040, 0x01, 0x04)
    //         IRQNoFlags () {0}
    //     })
    // }
    board.device(
        "PIT",
        device ->
            device.eisaId("_HID", "PNP0100").resources("_CRS", crs -> crs.io(0x40, 4).irq(0)));
    // Device (RTC)
    // {
    //     Name (_HID, EisaId ("PNP0B00"))
    //     Name (_CRS, ResourceTemplate ()
    //     {
    //         IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
    //         IRQNoFlags () {8}
    //     })
    // }
    board.device(
        "RTC",
        device ->
            device.eisaId("_HID", "PNP0B00").resources("_CRS", crs -> crs.io(0x70, 2).irq(8)));
    // Device (SYSR)                       // ports that belong to the board
    // {
    //     Name (_HID, EisaId ("PNP0C02"))
    //     Name (_CRS, ResourceTemplate ()
    //     {
    //         IO (Decode16, 0x0061, 0x0061, 0x01, 0x01)
    //         IO (Decode16, 0x0080, 0x0080, 0x01, 0x01)
    //         IO (Decode16, 0x0092, 0x0092, 0x01, 0x01)
    //         IO (Decode16, 0x0400, 0x0400, 0x01, 0x0C)
    //         IO (Decode16, 0x0CF9, 0x0CF9, 0x01, 0x01)
    //     })
    // }
    board.device(
        "SYSR",
        device ->
            device
                .eisaId("_HID", "PNP0C02")
                .resources(
                    "_CRS",
                    crs ->
                        crs.io(0x61, 1)
                            .io(0x80, 1)
                            .io(0x92, 1)
                            .io(AcpiPower.PORT, AcpiPower.PORTS)
                            .io(ResetPorts.RESET_CONTROL, 1)));
  }

  // Device (COM1)
  // {
  //     Name (_HID, EisaId ("PNP0501"))
  //     Name (_UID, 1)
  //     Name (_DDN, "COM1")
  //     Name (_CRS, ResourceTemplate ()
  //     {
  //         IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
  //         IRQNoFlags () {4}
  //     })
  // }
  private static void serialPorts(AmlWriter board, AcpiConfiguration configuration) {
    for (var port : configuration.serialPorts()) {
      board.device(
          port.name(),
          device ->
              device
                  .eisaId("_HID", "PNP0501")
                  .name("_UID", port.ordinal() + 1)
                  .name("_DDN", port.name())
                  .resources("_CRS", crs -> crs.io(port.port(), 8).irq(port.irq())));
    }
  }

  // Device (VMOD)
  // {
  //     Name (_HID, "ACPI0004")
  //     Name (_UID, 0)
  //     Name (_CRS, ResourceTemplate ()
  //     {
  //         DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
  //             0x00000000, 0xF8000000, 0xFEBFFFFF, 0x00000000, 0x06C00000)
  //     })
  //     Device (VMBS)                   // only where the partition has a VMBus
  //     {
  //         Name (_HID, "VMBUS")
  //         Name (_UID, 0)
  //         Name (_DDN, "VMBUS")
  //         Name (_STA, 0x0F)
  //         Name (_CRS, ResourceTemplate () { IRQNoFlags () {5} })
  //     }
  // }
  private static void module(AmlWriter board, AcpiConfiguration configuration) {
    board.device(
        "VMOD",
        module -> {
          module
              .name("_HID", "ACPI0004")
              .name("_UID", 0)
              .resources(
                  "_CRS",
                  crs -> {
                    for (var window : configuration.mmioWindows()) {
                      crs.memory(window.start(), window.size());
                    }
                  });
          if (configuration.vmbus()) {
            module.device(
                "VMBS",
                device ->
                    device
                        .name("_HID", "VMBUS")
                        .name("_UID", 0)
                        .name("_DDN", "VMBUS")
                        .name("_STA", 0x0F)
                        .resources("_CRS", crs -> crs.irq(5)));
          }
        });
  }

  private Dsdt() {}
}
