package dev.partita.chipset;

import dev.partita.chipset.acpi.AcpiConfiguration;
import dev.partita.chipset.acpi.AcpiTables;
import dev.partita.chipset.bus.MmioBus;
import dev.partita.chipset.bus.PortBus;
import dev.partita.chipset.device.Pit;
import dev.partita.chipset.device.PostCodePort;
import dev.partita.chipset.device.Rtc;
import dev.partita.chipset.device.SerialPort;
import dev.partita.chipset.device.Uart;
import dev.partita.chipset.device.UartState;
import dev.partita.chipset.interrupt.InterruptRouter;
import dev.partita.chipset.interrupt.IoApic;
import dev.partita.chipset.interrupt.PicPair;
import dev.partita.chipset.power.AcpiPower;
import dev.partita.chipset.power.PowerListener;
import dev.partita.chipset.power.ResetPorts;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.EnumMap;
import java.util.Map;

/// A partition's virtual motherboard: the devices of a PC that are neither processors nor memory,
/// on their buses. The partition's owner passes port, MMIO, external-interrupt and end-of-interrupt
/// intercepts to it.
///
/// Intercepts come on any processor's thread. The life cycle ({@link #start}, {@link #stop}, {@link
/// #reset}, state) is its owner's, who calls these while no processor runs.
public final class Motherboard implements AutoCloseable {
  private final Partition partition;
  private final MotherboardConfiguration configuration;
  private final PortBus ports = new PortBus();
  private final MmioBus mmio = new MmioBus();
  private final PicPair pic;
  private final IoApic ioApic;
  private final InterruptRouter interrupts;
  private final Pit pit;
  private final Rtc rtc;
  private final Map<SerialPort, Uart> serialPorts = new EnumMap<>(SerialPort.class);
  private final AcpiPower power;
  private final ResetPorts resetPorts;
  private final PostCodePort postCode = new PostCodePort();

  /// Makes a board, powered up and stopped.
  ///
  /// @param listener hears when the guest turns the machine off or resets it
  public Motherboard(
      Partition partition, MotherboardConfiguration configuration, PowerListener listener) {
    this.partition = partition;
    this.configuration = configuration;
    var time = partition.configuration().time();
    ioApic = new IoApic(partition::signalMsi);
    pic = new PicPair(this::legacyOutput);
    interrupts = new InterruptRouter(pic, ioApic);
    pit = new Pit(time, interrupts.isa(0));
    rtc = new Rtc(time, interrupts.isa(8));
    power = new AcpiPower(time, interrupts.isa(AcpiPower.SCI), listener);
    resetPorts = new ResetPorts(listener);
    configuration
        .serialPorts()
        .forEach(
            (place, output) ->
                serialPorts.put(place, new Uart(time, place, interrupts.isa(place.irq()), output)));

    mmio.claim(IoApic.ADDRESS, IoApic.LENGTH, ioApic);
    pic.attach(ports);
    pit.attach(ports);
    rtc.attach(ports);
    power.attach(ports);
    resetPorts.attach(ports);
    postCode.attach(ports);
    serialPorts.values().forEach(uart -> uart.attach(ports));
  }

  /// The 8259's output goes to the boot processor and, as on every PC, to pin 0 of the I/O APIC.
  private void legacyOutput(boolean asserted) {
    partition.setExternalInterrupt(asserted);
    ioApic.setLine(0, asserted);
  }

  // --- intercepts ---

  public void handle(VirtualProcessor processor, Intercept.PortRead read) {
    read.value = ports.read(processor, read.port, read.size);
  }

  public void handle(VirtualProcessor processor, Intercept.PortWrite write) {
    ports.write(processor, write.port, write.size, write.value);
  }

  public void handle(Intercept.MmioRead read) {
    read.value = mmio.read(read.address, read.size);
  }

  public void handle(Intercept.MmioWrite write) {
    mmio.write(write.address, write.size, write.value);
  }

  public void handle(Intercept.ExternalInterrupt interrupt) {
    interrupt.vector = pic.acknowledge();
  }

  public void handle(Intercept.EndOfInterrupt end) {
    ioApic.endOfInterrupt(end.vector);
  }

  // --- what others connect to ---

  /// Where other devices claim ports.
  public PortBus ports() {
    return ports;
  }

  /// Where other devices claim guest-physical addresses.
  public MmioBus mmio() {
    return mmio;
  }

  /// Where other devices get interrupt lines.
  public InterruptRouter interrupts() {
    return interrupts;
  }

  /// A serial port.
  ///
  /// @throws IllegalArgumentException if the board does not have it
  public Uart serialPort(SerialPort place) {
    var uart = serialPorts.get(place);
    if (uart == null) {
      throw new IllegalArgumentException("the board has no " + place);
    }
    return uart;
  }

  /// Presses the power button: asks the guest to shut down. Any thread.
  public void pressPowerButton() {
    power.pressPowerButton();
  }

  /// The last code at port 0x80, for diagnosis.
  public int postCode() {
    return postCode.code();
  }

  /// The board's ACPI tables, to be copied to {@link AcpiTables#AREA}.
  public AcpiTables acpiTables() {
    return AcpiTables.build(
        new AcpiConfiguration(
            partition.processors().size(),
            serialPorts.keySet().stream().toList(),
            configuration.mmioWindows(),
            configuration.vmbus()),
        AcpiTables.AREA);
  }

  // --- life cycle ---

  /// Time-driven interrupts and serial input begin, or go on after {@link #stop}.
  public void start() {
    pit.start();
    rtc.start();
    power.start();
    serialPorts.values().forEach(Uart::start);
  }

  /// No device interrupts by itself any more.
  public void stop() {
    pit.stop();
    rtc.stop();
    power.stop();
    serialPorts.values().forEach(Uart::stop);
  }

  /// Resets all devices, as the reset line does; the clock's time, CMOS memory and waiting serial
  /// input stay. The processors are not touched.
  public void reset() {
    // First the controllers, so that devices letting go of their lines disturb nobody.
    ioApic.reset();
    pic.reset();
    pit.reset();
    rtc.reset();
    power.reset();
    resetPorts.reset();
    postCode.setCode(0);
    serialPorts.values().forEach(Uart::reset);
  }

  /// As {@link #stop}.
  @Override
  public void close() {
    stop();
  }

  // --- saved state ---

  /// The state of all devices. Only while stopped.
  public MotherboardState state() {
    var uarts = new EnumMap<SerialPort, UartState>(SerialPort.class);
    serialPorts.forEach((place, uart) -> uarts.put(place, uart.state()));
    return new MotherboardState(
        pic.state(),
        ioApic.state(),
        pit.state(),
        rtc.state(),
        uarts,
        power.state(),
        resetPorts.state(),
        postCode.code());
  }

  /// Takes over a state, of a board with the same configuration. Only while stopped.
  ///
  /// @throws IllegalArgumentException if the state has other serial ports than the board
  public void setState(MotherboardState state) {
    if (!state.serialPorts().keySet().equals(serialPorts.keySet())) {
      throw new IllegalArgumentException(
          "the state has the serial ports %s, the board %s"
              .formatted(state.serialPorts().keySet(), serialPorts.keySet()));
    }
    // First masked controllers, then the devices with their lines, last the controllers' state:
    // a line that only takes its saved level is no new interrupt.
    ioApic.reset();
    pic.reset();
    pit.setState(state.pit());
    rtc.setState(state.rtc());
    power.setState(state.power());
    resetPorts.setState(state.resetPorts());
    postCode.setCode(state.postCode());
    serialPorts.forEach(
        (place, uart) -> {
          var uartState = state.serialPorts().get(place);
          if (uartState != null) {
            uart.setState(uartState);
          }
        });
    pic.setState(state.pic());
    ioApic.setState(state.ioApic());
  }
}
