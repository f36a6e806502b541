package dev.partita.chipset.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.chipset.TestLine;
import dev.partita.hypervisor.ManualTimeSource;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class UartTest {
  private static final int IER = 1;
  private static final int IIR = 2;
  private static final int FCR = 2;
  private static final int LCR = 3;
  private static final int MCR = 4;
  private static final int LSR = 5;
  private static final int MSR = 6;
  private static final int SCR = 7;

  private final ManualTimeSource time = new ManualTimeSource(0);
  private final TestLine line = new TestLine();
  private final ByteArrayOutputStream output = new ByteArrayOutputStream();
  private final Uart uart = new Uart(time, SerialPort.COM1, line, output::write);

  @BeforeEach
  void start() {
    uart.start();
    out(LCR, 0x83);
    out(0, 1);
    out(1, 0);
    out(LCR, 0x03);
  }

  private void out(int register, int value) {
    uart.writePort(0x3F8 + register, 1, value);
  }

  private int in(int register) {
    return uart.readPort(0x3F8 + register, 1);
  }

  private void send(String text) {
    var bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    assertThat(uart.offerInput(bytes, 0, bytes.length)).isEqualTo(bytes.length);
  }

  private String receive() {
    var text = new StringBuilder();
    while ((in(LSR) & 1) != 0) {
      text.append((char) in(0));
    }
    return text.toString();
  }

  /// FIFOs on, OUT2, RTS and DTR up.
  private void open(int triggerBits, int interrupts) {
    out(FCR, 0x07 | triggerBits << 6);
    out(MCR, 0x0B);
    out(IER, interrupts);
  }

  // --- registers ---

  @Test
  void registersAfterReset() {
    uart.reset();
    assertThat(in(IER)).isZero();
    assertThat(in(IIR)).isEqualTo(0x01);
    assertThat(in(LCR)).isZero();
    assertThat(in(MCR)).isZero();
    assertThat(in(LSR)).isEqualTo(0x60);
    assertThat(in(MSR)).isEqualTo(0xB0);
  }

  @Test
  void unusedBitsReadZero() {
    out(IER, 0xFF);
    assertThat(in(IER)).isEqualTo(0x0F);
    out(MCR, 0xFF);
    assertThat(in(MCR)).isEqualTo(0x1F);
    out(SCR, 0xA5);
    assertThat(in(SCR)).isEqualTo(0xA5);
  }

  @Test
  void theDivisorIsBehindItsAccessBit() {
    out(LCR, 0x83);
    out(0, 0x34);
    out(1, 0x12);
    assertThat(in(0)).isEqualTo(0x34);
    assertThat(in(1)).isEqualTo(0x12);
    out(LCR, 0x03);
    assertThat(in(IER)).isZero();
    assertThat(output.size()).isZero();
  }

  @Test
  void theIdentificationRegisterShowsTheFifos() {
    assertThat(in(IIR)).isEqualTo(0x01);
    out(FCR, 0x01);
    assertThat(in(IIR)).isEqualTo(0xC1);
    out(FCR, 0xC0);
    assertThat(in(IIR)).as("without bit 0 the rest is ignored").isEqualTo(0x01);
  }

  // --- transmitter ---

  @Test
  void outputComesOut() {
    for (byte b : "hello".getBytes(StandardCharsets.US_ASCII)) {
      assertThat(in(LSR) & 0x60).isEqualTo(0x60);
      out(0, b);
    }
    assertThat(output.toString(StandardCharsets.US_ASCII)).isEqualTo("hello");
  }

  @Test
  void transmitterEmptyInterruptsOncePerBurst() {
    open(0, 0);
    out(IER, 2);
    assertThat(line.rises).as("enabled while empty").isEqualTo(1);
    assertThat(in(IIR)).isEqualTo(0xC2);
    assertThat(in(IIR)).as("reading it clears it").isEqualTo(0xC1);
    assertThat(line.level).isFalse();
    for (int i = 0; i < 16; i++) {
      out(0, 'x');
    }
    assertThat(line.level).isFalse();
    time.advance(Uart.TRANSMIT_TIME);
    assertThat(line.rises).isEqualTo(2);
    out(IER, 0);
    assertThat(line.level).isFalse();
    out(IER, 2);
    assertThat(line.level).as("again when enabled again").isTrue();
  }

  // --- receiver ---

  @Test
  void nothingIsSentBeforeTheGuestRaisesRts() {
    send("ab");
    time.advance(1_000_000);
    assertThat(in(LSR) & 1).isZero();
    out(FCR, 0x07);
    out(MCR, 0x03);
    assertThat(receive()).isEqualTo("ab");
    out(MCR, 0x01);
    send("c");
    time.advance(1_000_000);
    assertThat(in(LSR) & 1).isZero();
    out(MCR, 0x03);
    assertThat(receive()).isEqualTo("c");
  }

  @Test
  void receivedDataInterruptsAtTheTriggerLevel() {
    int[] levels = {1, 4, 8, 14};
    for (int bits = 0; bits < 4; bits++) {
      open(bits, 1);
      send("x".repeat(levels[bits]));
      assertThat(in(IIR)).as("level %d", levels[bits]).isEqualTo(0xC4);
      in(0);
      assertThat(in(IIR)).isEqualTo(0xC1);
      out(FCR, 0x07);
      time.advance(Uart.BURST_GAP);
    }
  }

  @Test
  void lessThanTheTriggerLevelTimesOut() {
    open(3, 1);
    send("ab");
    assertThat(in(IIR)).isEqualTo(0xC1);
    // Four characters of ten bits at 115200 baud.
    time.advance(347_221);
    assertThat(in(IIR)).isEqualTo(0xC1);
    time.advance(2);
    assertThat(line.level).isTrue();
    assertThat(in(IIR)).isEqualTo(0xCC);
    assertThat(in(0)).isEqualTo('a');
    assertThat(in(IIR)).as("reading restarts the time").isEqualTo(0xC1);
    time.advance(347_223);
    assertThat(in(IIR)).isEqualTo(0xCC);
    in(0);
    time.advance(1_000_000);
    assertThat(in(IIR)).isEqualTo(0xC1);
  }

  @Test
  void withoutFifosOneByteArrivesAtATime() {
    out(MCR, 0x0B);
    out(IER, 1);
    send("ab");
    assertThat(in(IIR)).isEqualTo(0x04);
    assertThat(in(0)).isEqualTo('a');
    assertThat(in(LSR) & 1).isZero();
    assertThat(line.level).isFalse();
    time.advance(Uart.BURST_GAP);
    assertThat(line.rises).isEqualTo(2);
    assertThat(in(0)).isEqualTo('b');
  }

  @Test
  void aHandlerAlwaysFindsAnEndAndANewEdge() {
    open(2, 1);
    send("x".repeat(1000));
    int bursts = 0;
    int total = 0;
    while (total < 1000) {
      assertThat(line.level).isTrue();
      int read = receive().length();
      assertThat(read).isBetween(1, 16);
      assertThat(line.level).isFalse();
      total += read;
      bursts++;
      time.advance(500_000);
    }
    assertThat(bursts).isEqualTo(63);
    assertThat(line.rises).isEqualTo(63);
  }

  /// The host writes faster than the guest reads: it waits, and nothing is lost.
  @Test
  void megabytesOfInputArriveComplete() throws InterruptedException {
    open(2, 1);
    var bytes = new byte[2 << 20];
    new Random(1).nextBytes(bytes);
    var writer =
        Thread.ofVirtual()
            .start(
                () -> {
                  try {
                    uart.sendInput(bytes);
                  } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                  }
                });
    var received = new ByteArrayOutputStream();
    while (received.size() < bytes.length) {
      while ((in(LSR) & 1) != 0) {
        received.write(in(0));
      }
      time.advance(Uart.BURST_GAP);
    }
    assertThat(writer.join(java.time.Duration.ofNanos(TimeUnit.SECONDS.toNanos(60)))).isTrue();
    assertThat(received.toByteArray()).isEqualTo(bytes);
  }

  @Test
  void aFullQueueTakesNoMore() {
    var bytes = new byte[SerialInput.CAPACITY + 10];
    assertThat(uart.offerInput(bytes, 0, bytes.length)).isEqualTo(SerialInput.CAPACITY);
    assertThat(uart.offerInput(bytes, 0, 1)).isZero();
    assertThat(uart.sendBreak()).isFalse();
    open(0, 0);
    in(0);
    assertThat(uart.offerInput(bytes, 0, bytes.length)).isEqualTo(16);
  }

  @Test
  void aBreakIsALineStatusInterrupt() {
    open(0, 5);
    send("a");
    in(0);
    uart.sendBreak();
    send("b");
    time.advance(Uart.BURST_GAP);
    assertThat(in(IIR)).as("line status goes first").isEqualTo(0xC6);
    assertThat(in(LSR)).isEqualTo(0x80 | 0x60 | 0x10 | 0x01);
    assertThat(in(IIR)).isEqualTo(0xC4);
    assertThat(in(LSR)).isEqualTo(0x61);
    assertThat(in(0)).isZero();
    assertThat(in(0)).isEqualTo('b');
  }

  // --- priorities, modem ---

  @Test
  void interruptsComeInOrderOfPriority() {
    open(0, 0);
    uart.setModemInputs(0);
    send("a");
    in(0);
    uart.sendBreak();
    time.advance(Uart.BURST_GAP);
    out(IER, 0x0F);
    assertThat(in(IIR)).isEqualTo(0xC6);
    in(LSR);
    assertThat(in(IIR)).isEqualTo(0xC4);
    in(0);
    assertThat(in(IIR)).isEqualTo(0xC2);
    assertThat(in(IIR)).isEqualTo(0xC0);
    assertThat(in(MSR)).isEqualTo(0x0B);
    assertThat(in(IIR)).isEqualTo(0xC1);
    assertThat(line.level).isFalse();
  }

  @Test
  void onlyTheEndOfARingIsADelta() {
    uart.setModemInputs(0xF0);
    assertThat(in(MSR)).isEqualTo(0xF0);
    uart.setModemInputs(0xB0);
    assertThat(in(MSR)).isEqualTo(0xB4);
    assertThat(in(MSR)).isEqualTo(0xB0);
  }

  @Test
  void out2ConnectsTheInterrupt() {
    out(IER, 2);
    assertThat(in(IIR) & 1).as("pending").isZero();
    out(IER, 0);
    out(IER, 2);
    assertThat(line.level).isFalse();
    out(MCR, 0x08);
    assertThat(line.level).isTrue();
    out(MCR, 0x18);
    assertThat(line.level).as("not in loop mode").isFalse();
  }

  @Test
  void loopModeReturnsOutputAndModemLines() {
    open(0, 0);
    out(MCR, 0x1A);
    assertThat(in(MSR) & 0xF0).isEqualTo(0x90);
    out(0, 'z');
    assertThat(output.size()).isZero();
    assertThat(receive()).isEqualTo("z");
    for (int i = 0; i < 17; i++) {
      out(0, 'a' + i);
    }
    assertThat(in(LSR)).as("overrun").isEqualTo(0x63);
    assertThat(receive()).isEqualTo("abcdefghijklmnop");
    out(MCR, 0x0B);
    assertThat(in(MSR) & 0xF0).isEqualTo(0xB0);
    time.advance(Uart.BURST_GAP);
    send("back");
    assertThat(receive()).isEqualTo("back");
  }

  // --- saved state ---

  @Test
  void stateMovesToAnotherPort() {
    open(2, 0x0F);
    send("0123456789abcdefQUEUED");
    in(0);
    uart.setModemInputs(0x90);
    out(SCR, 0x42);
    var state = uart.state();
    assertThat(state.received()).hasSize(15);
    assertThat(state.input()).hasSize(6);

    var otherTime = new ManualTimeSource(0);
    var otherLine = new TestLine();
    var other = new Uart(otherTime, SerialPort.COM1, otherLine, value -> {});
    other.setState(state);
    assertThat(other.state()).usingRecursiveComparison().isEqualTo(state);
    assertThat(otherLine.level).isEqualTo(line.level);
    other.start();
    var text = new StringBuilder();
    for (int i = 0; i < 50; i++) {
      while ((other.readPort(0x3FD, 1) & 1) != 0) {
        text.append((char) other.readPort(0x3F8, 1));
      }
      otherTime.advance(Uart.BURST_GAP);
    }
    assertThat(text).hasToString("123456789abcdefQUEUED");
  }
}
