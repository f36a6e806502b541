package dev.partita.chipset.acpi;

import dev.partita.chipset.device.SerialPort;
import java.util.List;

/// What the ACPI tables describe besides what every board has.
///
/// @param processorCount 1 to 254; APIC ids count from 0
/// @param serialPorts those that the board has
/// @param mmioWindows resources of `\_SB.VMOD`
/// @param vmbus whether the VMBus root device is there
public record AcpiConfiguration(
    int processorCount, List<SerialPort> serialPorts, List<MmioWindow> mmioWindows, boolean vmbus) {
  public AcpiConfiguration {
    if (processorCount < 1 || processorCount > 254) {
      throw new IllegalArgumentException("processor count " + processorCount + " is not in 1..254");
    }
    serialPorts = List.copyOf(serialPorts);
    mmioWindows = List.copyOf(mmioWindows);
  }
}
