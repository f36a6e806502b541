package dev.partita.chipset;

import dev.partita.chipset.device.PitState;
import dev.partita.chipset.device.RtcState;
import dev.partita.chipset.device.SerialPort;
import dev.partita.chipset.device.UartState;
import dev.partita.chipset.interrupt.IoApicState;
import dev.partita.chipset.interrupt.PicState;
import dev.partita.chipset.power.AcpiPowerState;
import dev.partita.chipset.power.ResetPorts;
import java.util.Map;

/// The saveable state of all devices of a board. The local APICs' is part of their processors'.
public record MotherboardState(
    PicState pic,
    IoApicState ioApic,
    PitState pit,
    RtcState rtc,
    Map<SerialPort, UartState> serialPorts,
    AcpiPowerState power,
    ResetPorts.State resetPorts,
    int postCode) {
  public MotherboardState {
    serialPorts = Map.copyOf(serialPorts);
  }
}
