package dev.partita.chipset.interrupt;

import dev.partita.chipset.bus.PortBus;
import dev.partita.chipset.bus.PortDevice;

/// The PC/AT's two 8259A interrupt controllers, the second at input 2 of the first, with the EISA
/// edge/level control registers. Thread-safe.
public final class PicPair implements PortDevice {
  private static final int MASTER_COMMAND = 0x20;
  private static final int MASTER_DATA = 0x21;
  private static final int SLAVE_COMMAND = 0xA0;
  private static final int SLAVE_DATA = 0xA1;
  private static final int MASTER_LEVEL = 0x4D0;
  private static final int SLAVE_LEVEL = 0x4D1;

  /// Hears of the level of the master's INT output, with the pair's lock held.
  @FunctionalInterface
  public interface Output {
    void set(boolean asserted);
  }

  private final Output output;
  private final Pic master = new Pic(true);
  private final Pic slave = new Pic(false);
  private boolean asserted;

  public PicPair(Output output) {
    this.output = output;
  }

  /// Claims the pair's ports.
  public void attach(PortBus ports) {
    ports.claim(MASTER_COMMAND, 2, this);
    ports.claim(SLAVE_COMMAND, 2, this);
    ports.claim(MASTER_LEVEL, 2, this);
  }

  /// Back to power-up: everything masked. The levels of the inputs stay: their drivers own them.
  public synchronized void reset() {
    master.reset();
    slave.reset();
    update();
  }

  /// Sets the level of an input.
  ///
  /// @param irq 0 to 15, not 2 (the cascade)
  public synchronized void setLine(int irq, boolean level) {
    if (irq < 8) {
      master.setLine(irq, level);
    } else {
      slave.setLine(irq - 8, level);
    }
    update();
  }

  /// The processor's interrupt acknowledge.
  ///
  /// @return the vector, 0 to 255; -1 if nothing is requested any more
  public synchronized int acknowledge() {
    int input = master.next();
    if (input < 0) {
      return -1;
    }
    master.accept(input);
    int vector = input == Pic.CASCADE ? acknowledgeSlave() : master.vector(input);
    update();
    return vector;
  }

  private int acknowledgeSlave() {
    int input = slave.next();
    if (input < 0) {
      // The request went away: the default is input 7, without an in-service bit.
      return slave.vector(7);
    }
    slave.accept(input);
    dropCascade();
    return slave.vector(input);
  }

  @Override
  public synchronized int readPort(int port, int size) {
    return switch (port) {
      case MASTER_COMMAND -> master.takePoll() ? poll(master) : master.readStatus();
      case SLAVE_COMMAND -> slave.takePoll() ? poll(slave) : slave.readStatus();
      case MASTER_DATA -> master.takePoll() ? poll(master) : master.mask();
      case SLAVE_DATA -> slave.takePoll() ? poll(slave) : slave.mask();
      case MASTER_LEVEL -> master.level();
      case SLAVE_LEVEL -> slave.level();
      default -> -1;
    };
  }

  @Override
  public synchronized void writePort(int port, int size, int value) {
    switch (port) {
      case MASTER_COMMAND -> master.writeCommand(value);
      case SLAVE_COMMAND -> slave.writeCommand(value);
      case MASTER_DATA -> master.writeData(value);
      case SLAVE_DATA -> slave.writeData(value);
      case MASTER_LEVEL -> master.setLevel(value);
      case SLAVE_LEVEL -> slave.setLevel(value);
      default -> {}
    }
    update();
  }

  /// An acknowledged slave drops its output for a moment: what is still requested is a new edge.
  private void dropCascade() {
    master.setLine(Pic.CASCADE, false);
  }

  private int poll(Pic pic) {
    int input = pic.next();
    if (input < 0) {
      return 0;
    }
    pic.accept(input);
    if (pic == slave) {
      dropCascade();
    }
    update();
    return 0x80 | input;
  }

  private void update() {
    master.setLine(Pic.CASCADE, slave.output());
    boolean now = master.output();
    if (now != asserted) {
      asserted = now;
      output.set(now);
    }
  }

  public synchronized PicState state() {
    return new PicState(master.state(), slave.state());
  }

  public synchronized void setState(PicState state) {
    master.setState(state.master());
    slave.setState(state.slave());
    asserted = master.output();
    output.set(asserted);
  }
}
