package dev.partita.chipset.interrupt;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PicPairTest {
  private final AtomicBoolean output = new AtomicBoolean();
  private final PicPair pic = new PicPair(output::set);

  @BeforeEach
  void initialize() {
    initialize(0x01);
  }

  /// As a PC's firmware: vectors 0x20 and 0x28, everything unmasked.
  private void initialize(int icw4) {
    out(0x20, 0x11);
    out(0x21, 0x20);
    out(0x21, 0x04);
    out(0x21, icw4);
    out(0xA0, 0x11);
    out(0xA1, 0x28);
    out(0xA1, 0x02);
    out(0xA1, icw4);
  }

  private void out(int port, int value) {
    pic.writePort(port, 1, value);
  }

  private int in(int port) {
    return pic.readPort(port, 1);
  }

  @Test
  void nothingComesBeforeInitialization() {
    var fresh = new PicPair(output::set);
    fresh.setLine(0, true);
    assertThat(output).isFalse();
    assertThat(fresh.acknowledge()).isEqualTo(-1);
  }

  @Test
  void lowerInputsGoFirst() {
    pic.setLine(4, true);
    pic.setLine(1, true);
    assertThat(output).isTrue();
    assertThat(pic.acknowledge()).isEqualTo(0x21);
    assertThat(output).as("4 waits for 1").isFalse();
    pic.setLine(0, true);
    assertThat(pic.acknowledge()).as("0 nests").isEqualTo(0x20);
    out(0x20, 0x20);
    assertThat(output).isFalse();
    out(0x20, 0x20);
    assertThat(pic.acknowledge()).isEqualTo(0x24);
    assertThat(pic.acknowledge()).isEqualTo(-1);
  }

  @Test
  void theSlaveComesThroughInputTwo() {
    pic.setLine(8, true);
    pic.setLine(3, true);
    assertThat(pic.acknowledge()).isEqualTo(0x28);
    assertThat(output).isFalse();
    out(0xA0, 0x20);
    out(0x20, 0x20);
    assertThat(pic.acknowledge()).isEqualTo(0x23);
    out(0x20, 0x20);
    pic.setLine(12, true);
    pic.setLine(10, true);
    assertThat(pic.acknowledge()).isEqualTo(0x2A);
    out(0xA0, 0x20);
    out(0x20, 0x20);
    assertThat(pic.acknowledge()).isEqualTo(0x2C);
  }

  @Test
  void anEdgeMustLastUntilItIsAcknowledged() {
    pic.setLine(5, true);
    pic.setLine(5, false);
    assertThat(output).isFalse();
    assertThat(pic.acknowledge()).isEqualTo(-1);
    pic.setLine(5, true);
    assertThat(pic.acknowledge()).isEqualTo(0x25);
    out(0x20, 0x20);
    assertThat(output).as("no new edge").isFalse();
  }

  @Test
  void levelInputsAskAgain() {
    out(0x4D0, 0xFF);
    assertThat(in(0x4D0)).as("0, 1 and 2 are edges").isEqualTo(0xF8);
    out(0x4D1, 0xFF);
    assertThat(in(0x4D1)).isEqualTo(0xDE);
    pic.setLine(5, true);
    assertThat(pic.acknowledge()).isEqualTo(0x25);
    out(0x20, 0x65);
    assertThat(pic.acknowledge()).isEqualTo(0x25);
    pic.setLine(5, false);
    out(0x20, 0x65);
    assertThat(output).isFalse();
  }

  @Test
  void masksHoldBack() {
    out(0x21, 0xEF);
    assertThat(in(0x21)).isEqualTo(0xEF);
    pic.setLine(3, true);
    assertThat(output).isFalse();
    pic.setLine(4, true);
    assertThat(pic.acknowledge()).isEqualTo(0x24);
    out(0x20, 0x20);
    out(0x21, 0);
    assertThat(pic.acknowledge()).isEqualTo(0x23);
  }

  @Test
  void registersReadBack() {
    pic.setLine(3, true);
    pic.setLine(6, true);
    assertThat(in(0x20)).isEqualTo(0x48);
    pic.acknowledge();
    assertThat(in(0x20)).isEqualTo(0x40);
    out(0x20, 0x0B);
    assertThat(in(0x20)).isEqualTo(0x08);
    out(0x20, 0x0A);
    assertThat(in(0x20)).isEqualTo(0x40);
  }

  @Test
  void automaticEndOfInterrupt() {
    initialize(0x03);
    pic.setLine(3, true);
    assertThat(pic.acknowledge()).isEqualTo(0x23);
    pic.setLine(7, true);
    assertThat(pic.acknowledge()).isEqualTo(0x27);
  }

  @Test
  void rotationMovesTheEndedInputToTheEnd() {
    pic.setLine(0, true);
    pic.acknowledge();
    out(0x20, 0xA0);
    pic.setLine(0, false);
    pic.setLine(0, true);
    pic.setLine(1, true);
    assertThat(pic.acknowledge()).isEqualTo(0x21);
    out(0x20, 0x20);
    out(0x20, 0xC3);
    pic.setLine(4, true);
    assertThat(pic.acknowledge()).as("4 is highest when 3 is lowest").isEqualTo(0x24);
  }

  @Test
  void specialMaskModeLetsLowerInputsThrough() {
    pic.setLine(3, true);
    assertThat(pic.acknowledge()).isEqualTo(0x23);
    pic.setLine(5, true);
    assertThat(output).isFalse();
    out(0x20, 0x68);
    out(0x21, 0x08);
    assertThat(pic.acknowledge()).isEqualTo(0x25);
  }

  @Test
  void specialFullyNestedModeNestsWithinTheSlave() {
    initialize(0x11);
    pic.setLine(12, true);
    assertThat(pic.acknowledge()).isEqualTo(0x2C);
    pic.setLine(9, true);
    assertThat(pic.acknowledge()).isEqualTo(0x29);
  }

  @Test
  void pollingAcknowledges() {
    assertThat(poll()).isZero();
    pic.setLine(4, true);
    assertThat(poll()).isEqualTo(0x84);
    assertThat(output).isFalse();
    out(0x20, 0x20);
    assertThat(output).isFalse();
  }

  private int poll() {
    out(0x20, 0x0C);
    return in(0x20);
  }

  @Test
  void initializationForgetsEdgesAndMasks() {
    out(0x21, 0xFF);
    pic.setLine(1, true);
    initialize(0x01);
    assertThat(in(0x21)).isZero();
    assertThat(output).isFalse();
    pic.setLine(1, false);
    pic.setLine(1, true);
    assertThat(pic.acknowledge()).isEqualTo(0x21);
  }

  @Test
  void stateMovesToAnotherPair() {
    out(0x4D0, 0x20);
    out(0x21, 0x40);
    pic.setLine(3, true);
    pic.setLine(9, true);
    pic.acknowledge();
    out(0x20, 0x0B);
    var state = pic.state();
    var otherOutput = new AtomicBoolean();
    var other = new PicPair(otherOutput::set);
    other.setState(state);
    assertThat(other.state()).isEqualTo(state);
    assertThat(otherOutput.get()).isEqualTo(output.get());
    other.writePort(0xA0, 1, 0x20);
    other.writePort(0x20, 1, 0x20);
    assertThat(other.acknowledge()).isEqualTo(0x23);
  }
}
