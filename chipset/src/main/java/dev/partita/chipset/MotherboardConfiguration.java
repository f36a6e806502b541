package dev.partita.chipset;

import dev.partita.chipset.acpi.MmioWindow;
import dev.partita.chipset.device.SerialOutput;
import dev.partita.chipset.device.SerialPort;
import java.util.List;
import java.util.Map;

/// What a board has besides what every board has.
///
/// @param serialPorts the serial ports, and where each one's output goes
/// @param mmioWindows addresses kept free for devices that the guest places itself
/// @param vmbus whether ACPI shows the VMBus root device
public record MotherboardConfiguration(
    Map<SerialPort, SerialOutput> serialPorts, List<MmioWindow> mmioWindows, boolean vmbus) {
  public MotherboardConfiguration {
    serialPorts = Map.copyOf(serialPorts);
    mmioWindows = List.copyOf(mmioWindows);
  }

  /// COM1 alone, the low MMIO window, no VMBus.
  public static MotherboardConfiguration withConsole(SerialOutput console) {
    return new MotherboardConfiguration(
        Map.of(SerialPort.COM1, console), List.of(MmioWindow.LOW), false);
  }
}
