package dev.partita.chipset;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.chipset.acpi.AcpiTables;
import dev.partita.chipset.acpi.MmioWindow;
import dev.partita.chipset.device.SerialPort;
import dev.partita.chipset.power.PowerListener;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.LocalApic;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MotherboardTest {
  private static final int SVR = 0xF0;
  private static final int EOI = 0xB0;
  private static final int LVT_LINT0 = 0x350;

  /// A partition with a board.
  private static final class Machine implements AutoCloseable {
    final TestPartition partition = new TestPartition(2);
    final List<String> events = new ArrayList<>();
    final ByteArrayOutputStream console = new ByteArrayOutputStream();
    final Motherboard board =
        new Motherboard(
            partition,
            new MotherboardConfiguration(
                Map.of(SerialPort.COM1, console::write, SerialPort.COM2, value -> {}),
                List.of(MmioWindow.LOW),
                false),
            new PowerListener() {
              @Override
              public void poweredOff() {
                events.add("off");
              }

              @Override
              public void resetRequested(ResetCause cause) {
                events.add(cause.name());
              }
            });

    void out(int port, int size, int value) {
      board.handle(partition.cpus.get(0), new Intercept.PortWrite().prepare(port, size, value));
    }

    int in(int port, int size) {
      var read = new Intercept.PortRead().prepare(port, size);
      board.handle(partition.cpus.get(0), read);
      return read.value;
    }

    void redirect(int pin, long entry) {
      register(0x11 + 2 * pin, (int) (entry >>> 32));
      register(0x10 + 2 * pin, (int) entry);
    }

    void register(int index, int value) {
      board.handle(new Intercept.MmioWrite().prepare(0xFEC0_0000L, 4, index));
      board.handle(new Intercept.MmioWrite().prepare(0xFEC0_0010L, 4, value));
    }

    int external() {
      var interrupt = new Intercept.ExternalInterrupt().prepare();
      board.handle(interrupt);
      return interrupt.vector;
    }

    void initializePic() {
      for (int base : new int[] {0x20, 0xA0}) {
        out(base, 1, 0x11);
        out(base + 1, 1, base == 0x20 ? 0x30 : 0x38);
        out(base + 1, 1, base == 0x20 ? 4 : 2);
        out(base + 1, 1, 1);
      }
    }

    void startTimer() {
      out(0x43, 1, 0x34);
      out(0x40, 1, 11932 & 0xFF);
      out(0x40, 1, 11932 >> 8);
    }

    @Override
    public void close() {
      board.close();
      partition.close();
    }
  }

  private final Machine machine = new Machine();
  private final LocalApic apic = machine.partition.apics.get(0);

  @BeforeEach
  void start() {
    machine.board.start();
    machine.partition.apics.forEach(a -> a.writeMmio(SVR, 0x1FF));
  }

  @AfterEach
  void close() {
    machine.close();
  }

  @Test
  void theTimerInterruptsThroughTheLegacyController() {
    machine.initializePic();
    apic.writeMmio(LVT_LINT0, 0x700);
    machine.startTimer();
    machine.out(0x20, 1, 0x20);
    machine.partition.time.advance(10_000_000);
    assertThat(apic.acknowledge()).isEqualTo(LocalApic.EXTERNAL);
    assertThat(machine.external()).isEqualTo(0x30);
    assertThat(apic.interruptPending()).isFalse();
    assertThat(machine.external()).as("nothing left").isEqualTo(-1);
  }

  @Test
  void theTimerInterruptsThroughTheIoApic() {
    machine.redirect(2, 0x0100_0000_0000_0030L);
    machine.startTimer();
    machine.partition.time.advance(10_000_000);
    assertThat(machine.partition.apics.get(1).acknowledge()).isEqualTo(0x30);
    assertThat(apic.interruptPending()).isFalse();
  }

  @Test
  void theLegacyControllerComesThroughPinZeroToo() {
    machine.initializePic();
    machine.redirect(0, 0x0100_0000_0000_0700L);
    machine.startTimer();
    assertThat(machine.partition.apics.get(1).acknowledge()).isEqualTo(LocalApic.EXTERNAL);
    assertThat(machine.external()).isEqualTo(0x30);
  }

  @Test
  void thePowerButtonRepeatsUntilItIsHandled() {
    machine.redirect(9, 0x8051);
    machine.out(0x402, 2, 0x100);
    machine.board.pressPowerButton();
    assertThat(apic.acknowledge()).isEqualTo(0x51);
    apic.writeMmio(EOI, 0);
    assertThat(machine.partition.ended).containsExactly(0x51);
    machine.board.handle(new Intercept.EndOfInterrupt().prepare(0x51));
    assertThat(apic.acknowledge()).isEqualTo(0x51);
    machine.out(0x400, 2, 0x100);
    apic.writeMmio(EOI, 0);
    machine.board.handle(new Intercept.EndOfInterrupt().prepare(0x51));
    assertThat(apic.interruptPending()).isFalse();
  }

  @Test
  void theConsoleWritesAndInterrupts() {
    machine.redirect(4, 0x34);
    machine.out(0x3FC, 1, 0x0B);
    machine.out(0x3F8, 1, 'H');
    machine.out(0x3F8, 1, 'i');
    assertThat(machine.console).hasToString("Hi");
    machine.out(0x3F9, 1, 1);
    machine.board.serialPort(SerialPort.COM1).offerInput(new byte[] {'!'}, 0, 1);
    assertThat(apic.acknowledge()).isEqualTo(0x34);
    assertThat(machine.in(0x3F8, 1)).isEqualTo('!');
    assertThatThrownBy(() -> machine.board.serialPort(SerialPort.COM3))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void theMachineTurnsOffAndResets() {
    machine.out(0x404, 2, 5 << 10 | 1 << 13);
    machine.out(0xCF9, 1, 6);
    machine.out(0x64, 1, 0xFE);
    machine.out(0x92, 1, 3);
    assertThat(machine.events)
        .containsExactly("off", "RESET_REGISTER", "KEYBOARD_CONTROLLER", "PORT_92");
  }

  @Test
  void thePciConfigurationPortsAreAbsent() {
    machine.out(0xCF8, 4, 0x8000_0604);
    assertThat(machine.in(0xCF8, 4)).isEqualTo(-1);
    assertThat(machine.in(0xCFC, 4)).isEqualTo(-1);
    assertThat(machine.events).as("a word over 0xCF9 is not the reset register").isEmpty();
  }

  @Test
  void unclaimedSpaceReadsAllOnes() {
    var read = new Intercept.MmioRead().prepare(0xFED0_0000L, 8);
    machine.board.handle(read);
    assertThat(read.value).isEqualTo(-1);
    assertThat(machine.in(0x2E8, 1)).as("no COM4").isEqualTo(0xFF);
    machine.out(0x80, 1, 0x42);
    assertThat(machine.board.postCode()).isEqualTo(0x42);
  }

  @Test
  void resetMakesTheBoardAsNew() {
    try (var fresh = new Machine()) {
      machine.initializePic();
      machine.redirect(9, 0x8051);
      machine.startTimer();
      machine.out(0x402, 2, 0x100);
      machine.board.pressPowerButton();
      machine.out(0x3FC, 1, 0x0B);
      machine.out(0x3F9, 1, 0x0F);
      machine.out(0x61, 1, 3);
      machine.board.reset();
      assertThat(machine.board.state()).usingRecursiveComparison().isEqualTo(fresh.board.state());
      int wakes = machine.partition.cpus.get(0).wakes;
      machine.partition.time.advance(1_000_000_000L);
      assertThat(machine.partition.cpus.get(0).wakes).isEqualTo(wakes);
    }
  }

  @Test
  void stoppedDevicesDoNotInterrupt() {
    machine.redirect(2, 0x30);
    machine.startTimer();
    machine.board.stop();
    while (apic.acknowledge() >= 0) {
      apic.writeMmio(EOI, 0);
    }
    machine.partition.time.advance(100_000_000);
    assertThat(apic.interruptPending()).isFalse();
    machine.board.start();
    machine.partition.time.advance(10_000_000);
    assertThat(apic.interruptPending()).isTrue();
  }

  @Test
  void stateMovesToAnotherMachine() {
    machine.initializePic();
    machine.redirect(2, 0x30);
    machine.redirect(9, 0x8051);
    machine.startTimer();
    machine.out(0x402, 2, 0x100);
    machine.board.pressPowerButton();
    machine.out(0x80, 1, 0x42);
    machine.partition.time.advance(4_000_000);
    machine.board.stop();
    var state = machine.board.state();

    try (var other = new Machine()) {
      other.partition.apics.forEach(a -> a.writeMmio(SVR, 0x1FF));
      other.partition.time.advance(4_000_000);
      int wakes = other.partition.cpus.get(0).wakes;
      other.board.setState(state);
      assertThat(other.board.state()).usingRecursiveComparison().isEqualTo(state);
      assertThat(other.partition.apics.get(0).acknowledge())
          .as("levels that were there are no new interrupts")
          .isEqualTo(-1);
      assertThat(other.partition.cpus.get(0).wakes).isEqualTo(wakes);
      other.board.start();
      other.partition.time.advance(5_999_000);
      assertThat(other.partition.apics.get(0).interruptPending()).isFalse();
      other.partition.time.advance(10_000);
      assertThat(other.partition.apics.get(0).acknowledge()).isEqualTo(0x30);
      other.board.handle(new Intercept.EndOfInterrupt().prepare(0x51));
      assertThat(other.partition.apics.get(0).acknowledge())
          .as("the power button still waits")
          .isEqualTo(0x51);
    }
  }

  @Test
  void aStateOfAnotherConfigurationIsRefused() {
    machine.board.stop();
    var state = machine.board.state();
    try (var partition = new TestPartition(1);
        var board =
            new Motherboard(
                partition,
                MotherboardConfiguration.withConsole(value -> {}),
                new PowerListener() {
                  @Override
                  public void poweredOff() {}

                  @Override
                  public void resetRequested(ResetCause cause) {}
                })) {
      assertThatThrownBy(() -> board.setState(state)).isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void theAcpiTablesAreForTheirArea() {
    var tables = machine.board.acpiTables();
    assertThat(tables.address()).isEqualTo(AcpiTables.AREA);
    assertThat(tables.rsdp()).isEqualTo(0xE_0000L);
  }
}
