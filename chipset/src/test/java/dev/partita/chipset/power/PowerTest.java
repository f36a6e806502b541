package dev.partita.chipset.power;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.chipset.TestLine;
import dev.partita.hypervisor.ManualTimeSource;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PowerTest {
  private final ManualTimeSource time = new ManualTimeSource(0);
  private final TestLine sci = new TestLine();
  private final List<String> events = new ArrayList<>();
  private final PowerListener listener =
      new PowerListener() {
        @Override
        public void poweredOff() {
          events.add("off");
        }

        @Override
        public void resetRequested(ResetCause cause) {
          events.add(cause.name());
        }
      };
  private final AcpiPower power = new AcpiPower(time, sci, listener);
  private final ResetPorts reset = new ResetPorts(listener);

  @BeforeEach
  void start() {
    power.start();
  }

  private int read(int port) {
    return power.readPort(port, 2) & 0xFFFF;
  }

  @Test
  void enteringS5TurnsOff() {
    assertThat(read(0x404)).as("always in ACPI mode").isEqualTo(1);
    power.writePort(0x404, 2, 5 << 10);
    assertThat(events).isEmpty();
    assertThat(read(0x404)).isEqualTo(5 << 10 | 1);
    power.writePort(0x404, 2, 5 << 10 | 1 << 13 | 1);
    assertThat(events).containsExactly("off");
    power.writePort(0x404, 2, 1 << 13);
    power.writePort(0x404, 2, 3 << 10 | 1 << 13);
    assertThat(events).as("other sleep types do nothing").hasSize(1);
    power.writePort(0x405, 1, (5 << 10 | 1 << 13) >> 8);
    assertThat(events).as("by bytes").hasSize(2);
  }

  @Test
  void thePowerButtonInterrupts() {
    power.pressPowerButton();
    assertThat(sci.level).isFalse();
    power.writePort(0x402, 2, 1 << 8);
    assertThat(sci.level).isTrue();
    assertThat(read(0x400)).isEqualTo(1 << 8);
    assertThat(power.readPort(0x400, 4)).isEqualTo(1 << 24 | 1 << 8);
    power.writePort(0x400, 2, 1 << 8);
    assertThat(sci.level).isFalse();
    assertThat(read(0x400)).isZero();
  }

  @Test
  void onlyExistingEventsCanBeEnabled() {
    power.writePort(0x402, 2, 0xFFFF);
    assertThat(read(0x402)).isEqualTo(0x521);
  }

  @Test
  void theTimerRunsAt3579545Hertz() {
    assertThat(power.readPort(0x408, 4)).isZero();
    time.advance(1_000_000_000L);
    assertThat(power.readPort(0x408, 4)).isEqualTo(3_579_545);
    power.writePort(0x408, 4, 0);
    assertThat(power.readPort(0x408, 4)).as("read-only").isEqualTo(3_579_545);
    assertThat(power.readPort(0x409, 1) & 0xFF).isEqualTo(3_579_545 >> 8 & 0xFF);
  }

  @Test
  void theTimersCarryInterrupts() {
    power.writePort(0x402, 2, 1);
    time.advance(599_000_000_000L);
    assertThat(sci.level).isFalse();
    time.advance(1_000_000_000L);
    assertThat(sci.level).as("2^31 ticks").isTrue();
    power.writePort(0x400, 2, 1);
    assertThat(sci.level).isFalse();
    time.advance(600_000_000_000L);
    assertThat(sci.rises).isEqualTo(2);
    assertThat(Integer.toUnsignedLong(power.readPort(0x408, 4))).isLessThan(10_000_000L);
  }

  @Test
  void powerStateMovesToAnother() {
    power.writePort(0x402, 2, 1 << 8);
    power.writePort(0x404, 2, 5 << 10);
    power.pressPowerButton();
    time.advance(5_000_000_000L);
    var state = power.state();
    var otherSci = new TestLine();
    var otherTime = new ManualTimeSource(0);
    otherTime.advance(77);
    var other = new AcpiPower(otherTime, otherSci, listener);
    other.setState(state);
    assertThat(other.state()).isEqualTo(state);
    assertThat(otherSci.level).isTrue();
    assertThat(other.readPort(0x408, 4)).isEqualTo(power.readPort(0x408, 4));
  }

  @Test
  void theResetRegisterResetsOnTheRiseOfItsBit() {
    reset.writePort(0xCF9, 1, 0x02);
    assertThat(events).isEmpty();
    assertThat(reset.readPort(0xCF9, 1)).isEqualTo(2);
    reset.writePort(0xCF9, 1, 0x06);
    assertThat(events).containsExactly("RESET_REGISTER");
    reset.writePort(0xCF9, 1, 0x06);
    assertThat(events).hasSize(1);
  }

  @Test
  void theAcpiResetValueResets() {
    reset.writePort(ResetPorts.RESET_CONTROL, 1, ResetPorts.RESET_VALUE);
    assertThat(events).containsExactly("RESET_REGISTER");
  }

  @Test
  void theKeyboardControllerOnlyResets() {
    assertThat(reset.readPort(0x64, 1) & 2).as("input buffer empty").isZero();
    assertThat(reset.readPort(0x64, 1) & 1).as("output never ends").isEqualTo(1);
    assertThat(reset.readPort(0x60, 1)).isEqualTo(0xFF);
    reset.writePort(0x64, 1, 0xAA);
    reset.writePort(0x60, 1, 0xFE);
    assertThat(events).isEmpty();
    reset.writePort(0x64, 1, 0xFE);
    assertThat(events).containsExactly("KEYBOARD_CONTROLLER");
  }

  @Test
  void port92() {
    assertThat(reset.readPort(0x92, 1)).as("A20 is on").isEqualTo(2);
    reset.writePort(0x92, 1, 0);
    assertThat(reset.readPort(0x92, 1)).isEqualTo(2);
    reset.writePort(0x92, 1, 1);
    assertThat(events).containsExactly("PORT_92");
  }
}
