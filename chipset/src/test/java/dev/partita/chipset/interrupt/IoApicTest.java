package dev.partita.chipset.interrupt;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class IoApicTest {
  private final List<String> messages = new ArrayList<>();
  private final IoApic ioApic =
      new IoApic((address, data) -> messages.add("%x %x".formatted(address, data)));

  private int read(int register) {
    ioApic.writeMmio(0, 4, register);
    return (int) ioApic.readMmio(0x10, 4);
  }

  private void write(int register, int value) {
    ioApic.writeMmio(0, 4, register);
    ioApic.writeMmio(0x10, 4, value);
  }

  private void entry(int pin, long value) {
    write(0x11 + 2 * pin, (int) (value >>> 32));
    write(0x10 + 2 * pin, (int) value);
  }

  @Test
  void identification() {
    assertThat(read(1)).isEqualTo(0x0017_0020);
    write(0, 0xFFFF_FFFF);
    assertThat(read(0)).isEqualTo(0x0F00_0000);
    assertThat(read(2)).isEqualTo(0x0F00_0000);
    assertThat(read(0x10)).as("masked at power-up").isEqualTo(0x1_0000);
    assertThat(read(0x3E)).isEqualTo(0x1_0000);
    assertThat(read(0x40)).isZero();
  }

  @Test
  void readOnlyBitsStay() {
    entry(3, 0xFFFF_FFFF_FFFF_FFFFL);
    assertThat(read(0x16)).isEqualTo(0x1_AFFF);
    assertThat(read(0x17)).isEqualTo(0xFF00_0000);
  }

  @Test
  void anEdgeIsOneMessage() {
    entry(4, 0x0200_0000_0000_0031L);
    ioApic.setLine(4, true);
    ioApic.setLine(4, true);
    assertThat(messages).containsExactly("fee02000 31");
    ioApic.setLine(4, false);
    ioApic.setLine(4, true);
    assertThat(messages).hasSize(2);
  }

  @Test
  void destinationAndDeliveryModesAreInTheMessage() {
    entry(4, 0x0F00_0000_0000_0931L);
    ioApic.setLine(4, true);
    entry(5, 0x0100_0000_0000_0400L);
    ioApic.setLine(5, true);
    entry(0, 0x0000_0000_0000_0700L);
    ioApic.setLine(0, true);
    assertThat(messages).containsExactly("fee0f004 131", "fee01000 400", "fee00000 700");
  }

  @Test
  void maskedEdgesAreLost() {
    ioApic.setLine(4, true);
    entry(4, 0x31);
    assertThat(messages).isEmpty();
  }

  @Test
  void aLevelWaitsForItsEnd() {
    entry(9, 0x8051);
    ioApic.setLine(9, true);
    assertThat(messages).containsExactly("fee00000 c051");
    assertThat(read(0x22)).as("remote IRR").isEqualTo(0xC051);
    ioApic.setLine(9, false);
    ioApic.setLine(9, true);
    assertThat(messages).hasSize(1);
    ioApic.endOfInterrupt(0x50);
    assertThat(messages).hasSize(1);
    ioApic.endOfInterrupt(0x51);
    assertThat(messages).hasSize(2);
    ioApic.setLine(9, false);
    ioApic.endOfInterrupt(0x51);
    assertThat(messages).hasSize(2);
    assertThat(read(0x22)).isEqualTo(0x8051);
  }

  @Test
  void theEoiRegisterEndsTheInterrupt() {
    entry(9, 0x8051);
    ioApic.setLine(9, true);
    ioApic.writeMmio(0x40, 4, 0x51);
    assertThat(messages).hasSize(2);
  }

  @Test
  void aLevelUnderTheMaskComesWhenItIsLifted() {
    entry(9, 0x1_8051);
    ioApic.setLine(9, true);
    assertThat(messages).isEmpty();
    write(0x22, 0x8051);
    assertThat(messages).hasSize(1);
  }

  @Test
  void goingToEdgeClearsRemoteIrr() {
    entry(9, 0x8051);
    ioApic.setLine(9, true);
    write(0x22, 0x1_0051);
    write(0x22, 0x1_8051);
    assertThat(read(0x22)).isEqualTo(0x1_8051);
    write(0x22, 0x8051);
    assertThat(messages).hasSize(2);
  }

  @Test
  void narrowWindowWritesAreIgnored() {
    ioApic.writeMmio(0, 1, 0x10);
    ioApic.writeMmio(0x10, 1, 0x31);
    assertThat(read(0x10)).isEqualTo(0x1_0000);
  }

  @Test
  void stateMovesToAnother() {
    entry(9, 0x8051);
    ioApic.setLine(9, true);
    entry(4, 0x0200_0000_0000_0031L);
    write(0, 0x0300_0000);
    var state = ioApic.state();
    var others = new ArrayList<String>();
    var other = new IoApic((address, data) -> others.add("%x %x".formatted(address, data)));
    other.setState(state);
    assertThat(other.state()).usingRecursiveComparison().isEqualTo(state);
    assertThat(others).isEmpty();
    other.endOfInterrupt(0x51);
    assertThat(others).containsExactly("fee00000 c051");
  }

  @Test
  void linesShareAnInput() {
    var pic = new PicPair(asserted -> {});
    var router = new InterruptRouter(pic, ioApic);
    entry(9, 0x8051);
    var first = router.line(9);
    var second = router.isa(9);
    first.raise();
    second.raise();
    first.lower();
    assertThat(ioApic.state().lines()).isEqualTo(1 << 9);
    second.lower();
    assertThat(ioApic.state().lines()).isZero();
  }

  @Test
  void theTimersInterruptIsAtPinTwo() {
    var pic = new PicPair(asserted -> {});
    var line = new InterruptRouter(pic, ioApic).isa(0);
    line.raise();
    assertThat(ioApic.state().lines()).isEqualTo(1 << 2);
    assertThat(pic.state().master().lines()).isEqualTo(1);
  }
}
